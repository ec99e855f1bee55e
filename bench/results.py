"""What the parts of the benchmark find, free of how it is printed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bench.statistics import Series

MOST_STOLEN = 0.05
"""Which share of the processors' time a hypervisor may take in a turn that is not disturbed."""


class Better(StrEnum):
    """Which direction of a value is the better one."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that the median must keep: at least it when higher is better, else at most it."""

    bound: float
    better: Better

    def is_met_by(self, value: float) -> bool:
        """Tell whether the value keeps the bound."""
        return value >= self.bound if self.better is Better.HIGHER else value <= self.bound


@dataclass(frozen=True, slots=True)
class Measured:
    """The rounds of one side: the value, and what it cost the server's processes."""

    values: Series
    cpu_microseconds: Series | None = None
    """CPU time of all processes of the server for each unit of work; None: not measured."""
    repeated: int = 0
    """How many turns did not count, because they were disturbed (``MOST_STOLEN``)."""
    disturbed: int = 0
    """How many count although they were."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work, measured on the subject and, if there is one, on a baseline."""

    work: str
    unit: str
    subject: Measured
    baseline: Measured | None = None
    goal: Goal | None = None
    """On the ratio of subject to baseline if there is a baseline, else on the value itself."""

    needs_baseline: bool = False
    """The goal speaks of a ratio, so it stays open without a baseline."""

    @property
    def ratio(self) -> Series | None:
        """Subject divided by baseline, round by round."""
        if self.baseline is None:
            return None
        return self.subject.values.ratio_to(self.baseline.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None when there is none or it cannot be judged."""
        judged = self.ratio or (None if self.needs_baseline else self.subject.values)
        if self.goal is None or judged is None:
            return None
        return self.goal.is_met_by(judged.median)


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one part, under a heading."""

    title: str
    subject: str
    baseline: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())


def missed(sections: Sequence[Section]) -> list[Row]:
    """Return the rows whose goal is not met."""
    return [row for section in sections for row in section.rows if row.is_met is False]
