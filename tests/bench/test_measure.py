"""Rounds in turn, and what processes use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import processes
from bench.measure import Sample, Side, alternate, timed
from bench.processes import ProcessorTime, cpu_seconds, family, memory_bytes

pytestmark = pytest.mark.pure


def test_sides_take_turns_and_the_first_round_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ProcessorTime, "stolen_since", lambda *_: 0.0)
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


def test_disturbed_turns_are_repeated_as_long_as_tries_are_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stolen = iter([0, 1, 1, 0, *[1] * 10])
    times = [100, 0]

    def write() -> None:
        user, steal = times
        (tmp_path / "stat").write_text(f"cpu  {user} 0 0 0 0 0 0 {steal} 9 9\ncpu0 1\n")

    def run() -> Sample:
        taken = 6 * next(stolen)
        times[0] += 100 - taken
        times[1] += taken
        write()
        return Sample(float(times[0]), 1)

    write()
    monkeypatch.setattr(processes, "PROC", tmp_path)
    (measured,) = alternate([Side(os.getpid(), run)], 3)
    # One turn is thrown away. The first that counts is good at the third try; the next one uses up
    # what tries are left.
    assert measured.values.values == (100 + 400 - 2 * 6, 488 + 500 - 5 * 6, 958 + 100 - 6)
    assert (measured.repeated, measured.disturbed) == (6, 2)


def test_the_time_that_a_hypervisor_takes_is_told() -> None:
    before = ProcessorTime.now()
    time.sleep(0.1)
    assert 0 <= ProcessorTime.now().stolen_since(before) <= 1


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
