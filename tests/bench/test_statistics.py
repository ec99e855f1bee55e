"""Medians, spreads, percentiles and ratios."""

import pytest

from bench.errors import BenchmarkFailed
from bench.statistics import Series, percentile

pytestmark = pytest.mark.pure


def test_a_series_tells_its_middle_and_its_ends() -> None:
    series = Series((3.0, 1.0, 10.0))
    assert (series.median, series.lowest, series.highest) == (3.0, 1.0, 10.0)


def test_the_median_of_an_even_number_of_rounds_lies_between_two() -> None:
    assert Series((1.0, 2.0, 4.0, 9.0)).median == 3.0


def test_a_series_without_rounds_is_refused() -> None:
    with pytest.raises(BenchmarkFailed):
        Series(())


def test_ratios_are_taken_round_by_round() -> None:
    """A slow moment that hits both sides of a round leaves the ratio as it is."""
    ratio = Series((200.0, 20.0, 210.0)).ratio_to(Series((100.0, 10.0, 100.0)))
    assert ratio.values == (2.0, 2.0, 2.1)
    assert ratio.median == 2.0


@pytest.mark.parametrize("other", [(1.0,), (1.0, 0.0)], ids=["fewer rounds", "an empty round"])
def test_what_cannot_be_compared_is_refused(other: tuple[float, ...]) -> None:
    with pytest.raises(BenchmarkFailed):
        Series((1.0, 2.0)).ratio_to(Series(other))


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (0.995, 100.0), (1.0, 100.0)],
)
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, share) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_percentiles_of_nothing_are_refused() -> None:
    with pytest.raises(BenchmarkFailed):
        percentile([], 0.5)
