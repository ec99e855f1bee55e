"""Tables in Markdown."""

import pytest

from bench.results import Better, Goal, Measured, Row, Section
from bench.statistics import Series
from bench.table import align, number, render, with_spread

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12_345.6, "12,346"),
        (-150.0, "-150"),
    ],
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_the_spread_stands_behind_the_median() -> None:
    assert with_spread(Series((2.0, 1.0, 3.0))) == "2.00 (1.00-3.00)"
    assert with_spread(Series((2.0,))) == "2.00"
    assert with_spread(None) == "-"


def test_words_are_aligned_left_and_numbers_right() -> None:
    assert align([("Work", "Unit", "N"), ("GET", "ms", "1,000")]).splitlines() == [
        "| Work | Unit |     N |",
        "| ---- | ---- | ----: |",
        "| GET  | ms   | 1,000 |",
    ]


def test_a_comparison_shows_both_sides_the_ratio_the_goal_and_the_cost() -> None:
    baseline = Measured(Series((100.0,)), Series((900.0,)))
    subject = Measured(Series((150.0,)), Series((300.0,)))
    row = Row("GET", "requests/s", subject, baseline, Goal(2.0, Better.HIGHER))
    title, _, header, _, cells, _, note = render(
        Section("Reads", "own", "other", [row], ["A note."])
    ).splitlines()
    assert title == "### Reads"
    assert columns(header) == [
        *("Work", "Unit", "other", "own", "Ratio", "Goal", "Met"),
        *("CPU µs, other", "CPU µs, own"),
    ]
    assert columns(cells) == [
        *("GET", "requests/s", "100", "150", "1.50", ">= 2.00", "NO"),
        *("900", "300"),
    ]
    assert note == "- A note."


def test_disturbed_turns_are_told_once_for_each_series() -> None:
    baseline = Measured(Series((1.0,)), repeated=2, disturbed=1)
    rows = [Row(work, "ms", Measured(Series((1.0,)), repeated=1), baseline) for work in "ab"]
    note = render(Section("Reads", "own", "other", rows)).splitlines()[-1]
    assert note == (
        "- The hypervisor took more than 5% of the processors in 4 turns that were repeated for "
        "that, and in 1 that count."
    )


def test_columns_that_nothing_fills_are_left_out() -> None:
    row = Row("idle", "MB", Measured(Series((341.0,))))
    _, _, header, _, cells = render(Section("Memory", "all", "-", [row])).splitlines()
    assert columns(header) == ["Work", "Unit", "all"]
    assert columns(cells) == ["idle", "MB", "341"]


def test_a_missing_baseline_leaves_ratio_and_verdict_open() -> None:
    goal = Goal(2.0, Better.HIGHER)
    alone = Row("GET", "requests/s", Measured(Series((150.0,))), None, goal, needs_baseline=True)
    cells = render(Section("Reads", "own", "other", [alone])).splitlines()[-1]
    assert columns(cells) == ["GET", "requests/s", "150", ">= 2.00", "-"]


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
