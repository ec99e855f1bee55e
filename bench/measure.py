"""Rounds: what is compared takes turns, so that a busy moment of the machine hits all alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.processes import ProcessorTime, cpu_seconds, family
from bench.results import MOST_STOLEN, Measured
from bench.statistics import Series

TRIES = 3
"""How many times its turns a side may have, so that disturbed ones are repeated."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round came to: the value to tell, and how many units of work it was."""

    value: float
    units: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things compared: a server's first process, and what a round does to it."""

    pid: int
    run: Callable[[], Sample]


def alternate(sides: Sequence[Side], rounds: int) -> list[Measured]:
    """Let every side have its turn in each round; the first round is thrown away.

    Every other round goes the other way (A B B A): what a turn leaves to the next one would
    otherwise always fall on the same side. A turn in which the hypervisor took more than
    ``MOST_STOLEN`` is repeated, as long as the side has not had ``TRIES`` times its turns. Returns
    what each side measured, in the order of the sides.
    """
    turns = [_Turns(side, rounds * (TRIES - 1)) for side in sides]
    for number in range(rounds + 1):
        for each in turns if number % 2 else reversed(turns):
            if number:
                each.take()
            else:
                each.side.run()
    return [each.measured() for each in turns]


@dataclass(slots=True)
class _Turns:
    """What a side has measured so far."""

    side: Side
    most_repeats: int
    values: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    repeated: int = 0
    disturbed: int = 0

    def take(self) -> None:
        value, cost, stolen = self._try()
        while stolen > MOST_STOLEN and self.repeated < self.most_repeats:
            self.repeated += 1
            value, cost, stolen = self._try()
        self.disturbed += stolen > MOST_STOLEN
        self.values.append(value)
        self.costs.append(cost)

    def _try(self) -> tuple[float, float, float]:
        """Return the value, the CPU time in µs for a unit, and which share was stolen."""
        time_before, cpu_before = ProcessorTime.now(), cpu_seconds(family(self.side.pid))
        sample = self.side.run()
        used = cpu_seconds(family(self.side.pid)) - cpu_before
        stolen = ProcessorTime.now().stolen_since(time_before)
        return sample.value, used * 1e6 / sample.units, stolen

    def measured(self) -> Measured:
        values, costs = Series(tuple(self.values)), Series(tuple(self.costs))
        return Measured(values, costs, self.repeated, self.disturbed)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
