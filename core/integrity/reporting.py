"""How people and programs get to see a check: progress, a summary, JSON."""

import json
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from core.integrity.types import Report

SHOWN_PER_KIND = 20


class TerminalWatcher:
    """Shows a bar for every stage, where there is a terminal; see ``Watcher``."""

    def __init__(self, console: Console) -> None:
        """Write to the console, which is not the one that gets the summary."""
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int | None) -> None:
        """Begin a bar."""
        self._finish()
        self._task = self._progress.add_task(stage, total=total)

    def advance(self, steps: int) -> None:
        """Move the bar on; any thread may do so."""
        if self._task is not None:
            self._progress.advance(self._task, steps)

    def _finish(self) -> None:
        if self._task is not None:
            done = self._progress.tasks[self._task].completed
            self._progress.update(self._task, total=done)


def print_report(report: Report, console: Console) -> None:
    """Print what was looked at, and every kind of problem with what to do next."""
    table = Table("Checked", "Number", show_edge=False)
    table.columns[1].justify = "right"
    for name, number in report.counts.items():
        table.add_row(name.replace("_", " "), f"{number:,}")
    console.print(table)
    console.print()
    if report.is_sound:
        console.print("No problems.")
        return
    for kind, problems in report.by_kind().items():
        console.print(f"{kind.meaning} ({len(problems):,}):", style="bold", markup=False)
        for problem in problems[:SHOWN_PER_KIND]:
            detail = f"  ({problem.detail})" if problem.detail else ""
            console.print(f"  {problem.where}{detail}", markup=False)
        if len(problems) > SHOWN_PER_KIND:
            rest = len(problems) - SHOWN_PER_KIND
            console.print(f"  and {rest:,} more, which --json lists", markup=False)
        console.print(f"  -> {kind.advice}", markup=False)
        console.print()
    console.print(f"{len(report.problems):,} problems.")


def as_json(report: Report) -> str:
    """Return the whole report as one JSON document."""
    document: dict[str, Any] = {
        "is_sound": report.is_sound,
        "checked": dict(report.counts),
        "problems": [
            {
                "kind": problem.kind.code,
                "where": problem.where,
                "detail": problem.detail,
                "advice": problem.kind.advice,
            }
            for problem in report.problems
        ],
    }
    return json.dumps(document, indent=2)
