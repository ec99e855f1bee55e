"""`python -m bench`: run parts of the benchmark, print their tables, write them to the page."""

import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Annotated

import typer

from bench import machine, report
from bench.errors import BenchmarkFailed
from bench.growth import measure_growth
from bench.lists import measure_lists
from bench.management import measure_management
from bench.memory import measure_memory
from bench.pushes import measure_pushes
from bench.reads import measure_reads
from bench.results import Section, missed
from bench.servers import Reference, Roadstead, find_reference, reference_version
from bench.setting import Setting, running
from bench.slow import measure_slow
from bench.table import render
from bench.tokens import measure_tokens
from bench.wrk import find_wrk

Part = Callable[[Setting], Section]

# In this order: memory before any load, long lists after everything that they could slow down.
PARTS: dict[str, Part] = {
    "memory": measure_memory,
    "reads": measure_reads,
    "tokens": measure_tokens,
    "pushes": measure_pushes,
    "slow": measure_slow,
    "lists": measure_lists,
    "management": measure_management,
    "growth": measure_growth,
}
FAILED, GOALS_MISSED = 1, 3
OPEN_FILES = 8_192

Chosen = Annotated[list[str] | None, typer.Argument(help=f"Parts: {', '.join(PARTS)}.")]
Rounds = Annotated[int, typer.Option(min=1, max=50, help="Rounds that count, each in turn.")]
Seconds = Annotated[float, typer.Option(min=0.2, max=60, help="Length of a round of reads.")]
Write = Annotated[bool, typer.Option("--write", help="Write the results to docs/performance.md.")]
Strict = Annotated[bool, typer.Option("--strict", help="End with status 3 if a goal is missed.")]


def main(
    parts: Chosen = None,
    rounds: Rounds = 3,
    seconds: Seconds = 1.0,
    write: Write = False,
    strict: Strict = False,
) -> None:
    """Measure Roadstead, beside docker-registry where that is installed."""
    chosen = list(PARTS) if not parts else [name for name in PARTS if name in parts]
    unknown = sorted(set(parts or ()) - set(PARTS))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(PARTS)}.")
    if write and chosen != list(PARTS):
        raise typer.BadParameter("Only a run of all parts is written to the page.")
    signal.signal(signal.SIGTERM, _stop)
    _allow_open_files()
    try:
        sections = run(chosen, rounds, seconds, write=write)
    except BenchmarkFailed as error:
        _tell(f"The benchmark failed: {error}")
        raise typer.Exit(FAILED) from error
    failures = missed(sections)
    for row in failures:
        _tell(f"Goal missed: {row.work}")
    if failures and strict:
        raise typer.Exit(GOALS_MISSED)


def run(chosen: Sequence[str], rounds: int, seconds: float, *, write: bool) -> list[Section]:
    """Start the servers, run the parts, print each table when it is there."""
    program, wrk = find_reference(), find_wrk()
    facts = machine.describe(reference_version(program) if program else None)
    _explain_what_is_missing(program, wrk)
    sections = []
    with ExitStack() as stack:
        roadstead = Roadstead()
        stack.enter_context(running(roadstead))
        reference = Reference(program) if program else None
        if reference is not None:
            stack.enter_context(running(reference))
        setting = Setting(roadstead, reference, wrk, rounds, seconds)
        for name in chosen:
            began = time.monotonic()
            section = PARTS[name](setting)
            sections.append(section)
            sys.stdout.write(f"{render(section)}\n\n")
            sys.stdout.flush()
            _tell(f"({name}: {time.monotonic() - began:.0f} s)")
    if write:
        report.write(report.PAGE, report.compose(facts, sections))
    return sections


def _allow_open_files() -> None:
    """Let this process and the servers hold what 500 slow readers of files need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))


def _explain_what_is_missing(program: str | None, wrk: str | None) -> None:
    if program is None:
        _tell("docker-registry is not installed (Debian: docker-registry): no comparison.")
    if wrk is None:
        _tell("wrk is not installed (Debian: wrk): all requests come from the own client.")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into an exception, so that the servers are stopped on the way out."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    typer.run(main)
