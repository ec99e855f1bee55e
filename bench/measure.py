"""Rounds: what is compared takes turns, so that a busy moment of the machine hits all alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.processes import cpu_seconds, family
from bench.results import Measured
from bench.statistics import Series


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
    otherwise always fall on the same side. Returns what each side measured, in the order of the
    sides.
    """
    values: list[list[float]] = [[] for _ in sides]
    costs: list[list[float]] = [[] for _ in sides]
    turns = list(zip(sides, values, costs, strict=True))
    for number in range(rounds + 1):
        for side, side_values, side_costs in turns if number % 2 else reversed(turns):
            before = cpu_seconds(family(side.pid))
            sample = side.run()
            used = cpu_seconds(family(side.pid)) - before
            if number:
                side_values.append(sample.value)
                side_costs.append(used * 1e6 / sample.units)
    return [
        Measured(Series(tuple(side_values)), Series(tuple(side_costs)))
        for side_values, side_costs in zip(values, costs, strict=True)
    ]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
