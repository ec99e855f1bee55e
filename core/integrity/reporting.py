"""How people and programs get to see what a check has found."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from core.integrity.types import Report

SHOWN_PER_KIND = 20


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
    console.print(f"Problems: {len(report.problems):,}.")


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
