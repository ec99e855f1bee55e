"""``roadstead keys``: the keys that sign registry tokens; ``roadstead user unlock``."""

from typing import Annotated

import typer
from rich.table import Table

from core.authn import queries, services
from core.authn.models import SigningKey
from core.common.clock import now as current_time
from core.common.terminal import make_console
from core.common.text import counted
from core.rbac.types import Actor
from core.users.commands import app as user_app

app = typer.Typer(name="keys", help="Keys that sign registry tokens.")
console = make_console()
__all__ = ["app", "user_app"]


@app.command("list")
def show() -> None:
    """List all keys, the newest first."""
    table = Table("Key", "State", "Signs from", "Verifies until")
    for key in queries.list_signing_keys():
        until = f"{key.retires_at:%Y-%m-%d %H:%M:%S} UTC" if key.retires_at else ""
        table.add_row(key.key_id, _state(key), f"{key.activates_at:%Y-%m-%d %H:%M:%S} UTC", until)
    console.print(table)


@app.command("rotate")
def rotate(
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Stop the former keys, in every running process within 15 seconds; "
            "registry tokens signed so far end.",
        ),
    ] = False,
) -> None:
    """Make a new key; former keys go on verifying until the last of their tokens has ended."""
    key = services.rotate_signing_key(actor=Actor.system(), immediately=now)
    console.print(f"New signing key {key.key_id}, signing from {key.activates_at:%H:%M:%S} UTC.")


@user_app.command("unlock")
def unlock(
    username: Annotated[str, typer.Argument(help="Name that too many failed logins shut out.")],
) -> None:
    """Forget the failed logins of a name, so that it may try again at once."""
    forgotten = services.unlock_logins(username, actor=Actor.system())
    console.print(f"Forgot {counted(forgotten, 'failed login')} of {username}.", markup=False)


def _state(key: SigningKey) -> str:
    now = current_time()
    if key.retires_at is not None and key.retires_at <= now:
        return "retired"
    if key.activates_at > now:
        return "published"
    return "active" if key.retires_at is None else "verifying"
