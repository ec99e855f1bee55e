"""Whether goals are met."""

import pytest

from bench.results import Better, Goal, Measured, Row, Section, missed
from bench.statistics import Series

pytestmark = pytest.mark.pure

TWICE = Goal(2.0, Better.HIGHER)
FIVE = Goal(5.0, Better.LOWER)


def measured(*values: float) -> Measured:
    return Measured(Series(values))


@pytest.mark.parametrize(
    ("goal", "value", "expected"),
    [(TWICE, 2.0, True), (TWICE, 1.99, False), (FIVE, 5.0, True), (FIVE, 5.01, False)],
)
def test_a_bound_belongs_to_what_is_good(goal: Goal, value: float, expected: bool) -> None:
    assert goal.is_met_by(value) is expected


def test_with_a_baseline_the_goal_speaks_of_the_ratio() -> None:
    row = Row("GET", "requests/s", measured(300.0, 100.0), measured(100.0, 100.0), TWICE)
    assert row.ratio == Series((3.0, 1.0))
    assert row.is_met is True


def test_without_a_baseline_the_goal_speaks_of_the_value() -> None:
    assert Row("page", "ms", measured(4.0, 6.5, 7.0), goal=FIVE).is_met is False


def test_a_goal_for_a_ratio_stays_open_without_a_baseline() -> None:
    row = Row("GET", "requests/s", measured(300.0), goal=TWICE, needs_baseline=True)
    assert row.is_met is None


def test_a_row_without_a_goal_is_not_judged() -> None:
    assert Row("GET", "requests/s", measured(1.0)).is_met is None


def test_missed_goals_are_found_in_all_sections() -> None:
    good = Row("good", "ms", measured(1.0), goal=FIVE)
    bad = Row("bad", "ms", measured(9.0), goal=FIVE)
    sections = [Section("A", "s", "b", [good, bad]), Section("B", "s", "b", [good])]
    assert missed(sections) == [bad]
