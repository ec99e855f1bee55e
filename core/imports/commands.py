"""``roadstead import``: taking over what another registry keeps."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from core.common.errors import DomainError
from core.common.terminal import make_console
from core.common.text import counted
from core.imports.services import ImportPlan, Watcher, import_registry
from core.imports.types import BlobRoute, Tally
from core.rbac.types import Actor

app = typer.Typer(name="import", help="Take over what another registry keeps.")
console = make_console()

FAILED, INCOMPLETE = 1, 3


@app.callback()
def group() -> None:
    """Take over what another registry keeps."""


@app.command("registry-dir")
def registry_dir(
    path: Annotated[Path, typer.Argument(help="Storage directory of the other registry.")],
    project: Annotated[
        str | None, typer.Option(help="Project for repositories whose name has none.")
    ] = None,
    create_projects: Annotated[
        bool, typer.Option("--create-projects", help="Create private projects that are missing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what is broken.")
    ] = False,
) -> None:
    """Take over repositories, tags and blobs from the directory of a distribution registry.

    Run it again after it was broken off, or when the source has changed: it goes on. Ends with
    status 3 when something was left out.
    """
    plan = ImportPlan(path, project, create_projects, dry_run)
    try:
        with _progress() as progress:
            tally = import_registry(plan, watcher=_Shown(progress), actor=Actor.system())
    except DomainError as error:
        Console(stderr=True).print(error.message, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None
    _print(tally, dry_run=dry_run)
    if tally.findings:
        raise typer.Exit(INCOMPLETE)


def _progress() -> Progress:
    """Return a bar on standard error, which stays silent where that is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[verified]} verified", markup=False),
        console=Console(stderr=True),
        transient=True,
        disable=not Console(stderr=True).is_terminal,
    )


class _Shown(Watcher):
    """Shows the progress in a bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Looking for repositories", total=None, verified="")
        self._begun = 0
        self._verified = 0

    def found(self, repositories: int) -> None:
        self._progress.update(self._task, total=repositories)

    def begins(self, repository: str) -> None:
        self._progress.update(self._task, description=repository, completed=self._begun)
        self._begun += 1

    def verified(self, size_bytes: int) -> None:
        self._verified += size_bytes
        self._progress.update(self._task, verified=decimal(self._verified))


def _print(tally: Tally, *, dry_run: bool) -> None:
    for finding in tally.findings:
        console.print(f"{finding.where}: {finding.reason}", markup=False, soft_wrap=True)
    would = "Would take over" if dry_run else "Took over"
    manifests, tags = counted(tally.manifests, "manifest"), counted(tally.tags, "tag")
    repositories = counted(tally.repositories, "repository", "repositories")
    present = counted(tally.manifests_present, "manifest")
    tags_present = counted(tally.tags_present, "tag")
    console.print(
        f"{would} {manifests} and {tags} of {repositories}; {present} and {tags_present} were"
        " here already."
    )
    if tally.healed:
        healed = counted(tally.healed, "damaged blob")
        console.print(f"{'Would heal' if dry_run else 'Healed'} {healed}.")
    if not dry_run:
        blobs = tally.blobs
        console.print(
            f"Blobs: {blobs[BlobRoute.LINKED]:,} linked, {blobs[BlobRoute.COPIED]:,} copied,"
            f" {blobs[BlobRoute.SHARED]:,} here already; {decimal(tally.verified_bytes)} verified."
        )
    if tally.findings:
        console.print(f"Left out, for the reasons above: {len(tally.findings):,}.")
