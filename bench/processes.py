"""What a server and all its descendants use, read from /proc."""

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SCHEDULER_CLOCK = 2


def family(root: int) -> list[int]:
    """Return a process and all its descendants that run now, as process ids."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children[int(fields[1])].append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children[pid]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU time that these processes have used so far, ended children included.

    A child's time passes to its parent when it ends, so nothing gets lost between two
    readings as long as `pids` holds the parents.
    """
    seconds = 0.0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            ended = sum(int(field) for field in fields[13:15]) / _TICKS_PER_SECOND
            seconds += _own_cpu_seconds(pid) + ended
    return seconds


def _own_cpu_seconds(pid: int) -> float:
    """Return what a process itself has used, to the nanosecond: short turns have few ticks."""
    try:
        # The number of the clock is made as by clock_getcpuclockid(3).
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        return 0.0


class ProcessorTime(NamedTuple):
    """What all processors have had so far, in ticks, and what a hypervisor took of it."""

    all: int
    stolen: int

    @classmethod
    def now(cls) -> "ProcessorTime":
        """Read it (proc(5), ``/proc/stat``)."""
        first = (PROC / "stat").read_text(encoding="ascii").partition("\n")[0]
        # User, nice, system, idle, iowait, irq, softirq, steal; guests are part of the first two.
        times = [int(field) for field in first.split()[1:9]]
        return cls(sum(times), times[7])

    def stolen_since(self, earlier: "ProcessorTime") -> float:
        """Return the share that was taken in between (0 to 1)."""
        return (self.stolen - earlier.stolen) / max(1, self.all - earlier.all)


def memory_bytes(pids: list[int]) -> int:
    """Return the memory of these processes, shared pages counted once (PSS)."""
    return sum(_proportional_set_bytes(pid) for pid in pids)


def _proportional_set_bytes(pid: int) -> int:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat behind the program's name, from the state on."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name stands in brackets and may hold anything, brackets included.
    return text.rpartition(")")[2].split()
