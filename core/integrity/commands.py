"""``roadstead fsck``."""

from typing import Annotated

import typer
from django.db import DatabaseError, OperationalError

from core.blobs.pace import Pace
from core.blobs.services import sweep_strays
from core.blobs.verification import Verifier
from core.common.clock import now
from core.common.errors import DomainError
from core.common.terminal import StageBars, make_console
from core.integrity.contents import check_contents, check_digests, check_marked
from core.integrity.reporting import as_json, print_report
from core.integrity.rows import check_rows
from core.integrity.types import Report
from core.rbac.types import Actor

PROBLEMS_FOUND = 1
NOT_FINISHED = 3

_MEGABYTE = 1_000_000

app = typer.Typer(name="fsck")


@app.command()
def fsck(
    read_content: Annotated[
        bool,
        typer.Option(
            "--read-content",
            help="Read every blob and compare it with its digest; what is found is recorded.",
        ),
    ] = False,
    megabytes_per_second: Annotated[
        int | None,
        typer.Option(min=1, help="How fast to read content at most; as a rule, all it can."),
    ] = None,
    remove_strays: Annotated[
        bool,
        typer.Option(
            "--remove-strays",
            help="First remove what no row has known for two days, as the daily sweep does.",
        ),
    ] = False,
    as_document: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document.")
    ] = False,
) -> None:
    """Check that storage and database agree. Safe beside a registry at work.

    Blobs that are marked as damaged are read, and served again where somebody restored them.

    Exit codes: 0 sound, 1 problems found, 2 the configuration cannot be used, 3 the check could
    not be carried out to its end.
    """
    report = Report()
    try:
        if remove_strays:
            typer.echo(f"Strays removed: {sweep_strays(now())}.", err=True)
        with StageBars() as watcher:
            check_rows(report, watcher)
            rate = None if megabytes_per_second is None else megabytes_per_second * _MEGABYTE
            verifier = Verifier(actor=Actor.system(), pace=Pace(rate), on_read=watcher.advance)
            if read_content:
                check_digests(report, watcher, verifier)
            else:
                check_marked(report, watcher, verifier)
            check_contents(report, watcher)
    except OperationalError:
        # The command that all others belong to says what can be done about the database.
        raise
    except (DomainError, DatabaseError) as error:
        typer.echo(f"The check could not be carried out: {str(error).strip()}", err=True)
        raise typer.Exit(NOT_FINISHED) from None
    if as_document:
        typer.echo(as_json(report))
    else:
        print_report(report, make_console())
    raise typer.Exit(0 if report.is_sound else PROBLEMS_FOUND)
