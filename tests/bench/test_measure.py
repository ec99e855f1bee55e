"""Rounds in turn, and what processes use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from bench.measure import Sample, Side, alternate, timed
from bench.processes import cpu_seconds, family, memory_bytes

pytestmark = pytest.mark.pure


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def side(name: str) -> Callable[[], Sample]:
        def run() -> Sample:
            turns.append(name)
            return Sample(float(len(turns)), 1)

        return run

    pid = os.getpid()
    first, second = alternate([Side(pid, side("a")), Side(pid, side("b"))], 2)
    assert turns == ["b", "a", "a", "b", "b", "a"]
    assert first.values.values == (3.0, 6.0)
    assert second.values.values == (4.0, 5.0)


def test_the_cost_is_told_for_each_unit_of_work() -> None:
    def spend() -> Sample:
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        return Sample(1.0, 1_000)

    (measured,) = alternate([Side(os.getpid(), spend)], 1)
    assert measured.cpu_microseconds is not None
    assert 80 < measured.cpu_microseconds.median < 1_000


def test_a_family_holds_children_and_their_time_stays_when_they_end() -> None:
    before = cpu_seconds(family(os.getpid()))
    script = "import time\nwhile time.process_time() < 0.1: pass\ninput()"
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    assert child.pid in family(os.getpid())
    child.communicate(b"\n", timeout=30)
    assert child.pid not in family(os.getpid())
    assert cpu_seconds(family(os.getpid())) - before > 0.08


def test_memory_is_that_of_running_processes() -> None:
    assert memory_bytes([os.getpid()]) > 10_000_000
    assert memory_bytes([2**22 + 1]) == 0


def test_time_is_taken() -> None:
    assert timed(lambda: time.sleep(0.01)) >= 0.01
