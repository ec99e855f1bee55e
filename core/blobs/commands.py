"""``roadstead storage``: what the storages hold, and moving content between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Table

from core.blobs.errors import MigrationUnderWay, NoFormerStorage
from core.blobs.moving import Migration, Outcome
from core.blobs.pace import Pace
from core.blobs.queries import StoreUsage, list_usage, usage_of
from core.blobs.unconfigured import rename_store
from core.common.terminal import StageBars, make_console
from core.common.text import counted
from core.database import raw
from core.rbac.types import Actor
from core.storage.selection import current_store, drivers, former_store

LEFT_BEHIND = 1

_MEGABYTE = 1_000_000
# Any number that nothing else in this database locks.
_ADVISORY_LOCK = 7_461_727

app = typer.Typer(name="storage", help="Storages of blobs.", no_args_is_help=True)
console = make_console()


@app.command("status")
def status() -> None:
    """Show what each storage holds by the word of the database."""
    table = Table("Storage", "Role", "Blobs", "Size", "Uploads in progress", "To be removed")
    usages = {usage.store: usage for usage in list_usage()}
    for store in [*drivers(), *(store for store in usages if store not in drivers())]:
        usage = usages.get(store) or usage_of(store)
        table.add_row(
            store,
            _role(store),
            f"{usage.blobs:,}",
            decimal(usage.bytes),
            f"{usage.uploads:,}",
            f"{usage.condemned:,}",
        )
    console.print(table)


@app.command("migrate")
def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how much there is to move.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Blobs that are moved at once.")] = 4,
    megabytes_per_second: Annotated[
        int | None, typer.Option(min=1, help="How fast to read at most; as a rule, all it can.")
    ] = None,
) -> None:
    """Move all content from the former storage to the current one.

    Pushes and pulls go on meanwhile. It may be stopped, or killed, and run again at any time.
    Exit codes: 0 nothing is left to move, 1 something is.
    """
    source, target = former_store(), current_store()
    if source is None:
        raise NoFormerStorage
    before = usage_of(source)
    console.print(
        f"In {source}: {counted(before.blobs, 'blob')} of {decimal(before.bytes)} to move to "
        f"{target}.",
        markup=False,
    )
    if dry_run:
        return
    rate = None if megabytes_per_second is None else megabytes_per_second * _MEGABYTE
    with _alone(), StageBars() as bars:
        bars.begin(f"{source} to {target}", before.bytes, is_bytes=True)
        migration = Migration(
            source,
            target,
            actor=Actor.system(),
            pace=Pace(rate),
            jobs=jobs,
            on_read=bars.advance,
        )
        migration.run()
    after = usage_of(source)
    for sentence in _outcome(migration.counts, after):
        console.print(sentence, markup=False)
    raise typer.Exit(LEFT_BEHIND if after.blobs or after.uploads else 0)


@app.command("rename")
def rename(
    store: Annotated[str, typer.Argument(help="What rows call the storage.")],
    name: Annotated[str, typer.Argument(help="What the configuration calls it.")],
) -> None:
    """Let rows call a storage as the configuration does, after its name was changed."""
    blobs = rename_store(store, name, actor=Actor.system())
    console.print(f"{store} is called {name} now: {counted(blobs, 'blob')}.", markup=False)


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second migration from doing the same work. Raises MigrationUnderWay."""
    row = raw.fetch_one("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_LOCK,))
    if row is None or not row[0]:
        raise MigrationUnderWay
    try:
        yield
    finally:
        raw.fetch_one("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _role(store: str) -> str:
    if store == current_store():
        return "current"
    return "former" if store == former_store() else "not configured"


def _outcome(counts: dict[Outcome, int], left: StoreUsage) -> Iterator[str]:
    """Say what was done, and what is to be done next."""
    yield f"{counted(counts[Outcome.MOVED], 'blob')} moved."
    if damaged := counts[Outcome.DAMAGED]:
        yield (
            f"{counted(damaged, 'is damaged and stays', 'are damaged and stay')}: push what has "
            "them again, which stores them in the current storage, or restore them from a backup "
            "and run `roadstead fsck`, which names them; then run this again."
        )
    if failed := counts[Outcome.FAILED]:
        yield f"{failed:,} could not be moved: the log says why. Run this again."
    if left.uploads:
        yield (
            f"{counted(left.uploads, 'upload is', 'uploads are')} still in progress in "
            f"{left.store}: run this again after that."
        )
    if left.blobs or left.uploads:
        yield f"{counted(left.blobs, 'blob is', 'blobs are')} left in {left.store}."
    elif left.condemned:
        waiting = counted(left.condemned, "object there waits", "objects there wait")
        yield (
            f"No blob is left in {left.store}. {waiting} a day for readers under way before being "
            "removed: unset ROADSTEAD_FORMER_* after that."
        )
    else:
        yield f"Nothing is left in {left.store}: unset ROADSTEAD_FORMER_*."
