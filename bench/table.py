"""Results as Markdown tables, which also read well in a terminal."""

from collections.abc import Sequence

from bench.results import MOST_STOLEN, Better, Goal, Measured, Row, Section
from bench.statistics import Series

NOTHING = "-"


def render(section: Section) -> str:
    """Return a section as a heading, a table and its notes."""
    has_baseline = any(row.baseline for row in section.rows)
    has_cost = any(row.subject.cpu_microseconds for row in section.rows)
    has_goal = any(row.goal for row in section.rows)
    header = ["Work", "Unit"]
    header += [section.baseline] if has_baseline else []
    header += [section.subject]
    header += ["Ratio"] if has_baseline else []
    header += ["Goal", "Met"] if has_goal else []
    if has_cost:
        header += [f"CPU µs, {section.baseline}"] if has_baseline else []
        header += [f"CPU µs, {section.subject}"]
    rows = [
        _cells(row, has_baseline=has_baseline, has_cost=has_cost, has_goal=has_goal)
        for row in section.rows
    ]
    parts = [f"### {section.title}", align([header, *rows])]
    notes = [*section.notes, *_disturbances(section.rows)]
    parts += ["\n".join(f"- {note}" for note in notes)] if notes else []
    return "\n\n".join(parts)


def _disturbances(rows: Sequence[Row]) -> list[str]:
    """Return what to say of turns that the hypervisor disturbed."""
    # Rows may be compared with the same baseline.
    series = {id(each): each for row in rows for each in (row.subject, row.baseline) if each}
    repeated = sum(each.repeated for each in series.values())
    disturbed = sum(each.disturbed for each in series.values())
    if not repeated and not disturbed:
        return []
    return [
        f"The hypervisor took more than {MOST_STOLEN:.0%} of the processors in {repeated:,} turns "
        f"that were repeated for that, and in {disturbed:,} that count."
    ]


def align(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of which is the header, as a table with aligned columns.

    The first two columns hold words and are aligned left, all others right.
    """
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rule = [
        "-" * width if column < 2 else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return "\n".join(lines)


def with_spread(series: Series | None) -> str:
    """Return the median, and the lowest and highest value in brackets."""
    if series is None:
        return NOTHING
    if len(series.values) == 1:
        return number(series.median)
    return f"{number(series.median)} ({number(series.lowest)}-{number(series.highest)})"


def number(value: float) -> str:
    """Return a number with three significant digits, and all digits before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def _cells(row: Row, *, has_baseline: bool, has_cost: bool, has_goal: bool) -> list[str]:
    cells = [row.work, row.unit]
    cells += [with_spread(row.baseline.values if row.baseline else None)] if has_baseline else []
    cells += [with_spread(row.subject.values)]
    cells += [with_spread(row.ratio)] if has_baseline else []
    cells += [_goal(row.goal), _verdict(row.is_met)] if has_goal else []
    if has_cost:
        cells += [_cost(row.baseline)] if has_baseline else []
        cells += [_cost(row.subject)]
    return cells


def _cost(measured: Measured | None) -> str:
    cost = measured.cpu_microseconds if measured else None
    return number(cost.median) if cost else NOTHING


def _goal(goal: Goal | None) -> str:
    if goal is None:
        return NOTHING
    return f"{'>=' if goal.better is Better.HIGHER else '<='} {number(goal.bound)}"


def _verdict(is_met: bool | None) -> str:
    return NOTHING if is_met is None else ("yes" if is_met else "NO")
