"""Series of measurements and what is told of them: median, spread, percentiles, ratios."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import BenchmarkFailed


@dataclass(frozen=True, slots=True)
class Series:
    """One value of each round, in the order of the rounds."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise BenchmarkFailed("A series needs at least one round.")

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The largest value."""
        return max(self.values)

    def ratio_to(self, other: "Series") -> "Series":
        """Return the quotients round by round.

        Rounds of the same number ran one right after the other, so what slowed the machine
        down for a while slowed both. Raises BenchmarkFailed when the numbers of rounds differ
        or the other has a round of nothing.
        """
        if len(self.values) != len(other.values):
            raise BenchmarkFailed("Only series of as many rounds can be compared.")
        if not all(other.values):
            raise BenchmarkFailed("A round in which nothing happened cannot be compared with.")
        return Series(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of all values do not exceed.

    Raises BenchmarkFailed without values.
    """
    if not values:
        raise BenchmarkFailed("Percentiles need at least one value.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
