"""``roadstead quota``: what projects hold, and recounting it."""

import typer
from rich.filesize import decimal
from rich.table import Table

from core.common.terminal import make_console
from core.quotas.rules import UNLIMITED
from core.rbac.types import Actor
from core.usage.queries import top_projects
from core.usage.services import reconcile

app = typer.Typer(name="quota", help="Limits and usage of projects.", no_args_is_help=True)
console = make_console()


@app.command("list")
def show() -> None:
    """List projects with their limits and what they hold, the fullest first."""
    table = Table("Project", "Used", "Limit")
    for project in top_projects(None):
        limit = "none" if project.hard_bytes == UNLIMITED else decimal(project.hard_bytes)
        table.add_row(project.name, decimal(project.used_bytes), limit)
    console.print(table)


@app.command("reconcile")
def recount() -> None:
    """Recount what projects hold, and correct it. Safe beside a registry at work."""
    done = reconcile(actor=Actor.system())
    for found in done.corrections:
        console.print(
            f"{found.project_name}: {found.contents:,} contents were counted wrongly, the usage "
            f"was off by {-found.bytes:,} bytes.",
            markup=False,
        )
    console.print(f"{done.projects:,} projects recounted, {len(done.corrections):,} corrected.")
