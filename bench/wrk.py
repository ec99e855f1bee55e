"""Debian's `wrk` as the load client for small reads.

Two kinds of requests are not for it: HEAD, because it waits for a body that never comes, and
large bodies, because it reads them in pieces of 8 KB and becomes the bottleneck itself.
"""

import math
import re
import shutil
import subprocess
from collections.abc import Mapping

from bench.client import Load
from bench.errors import BenchmarkFailed

_SUMMARY = re.compile(r"^\s*(\d+) requests in ([\d.]+)(ms|s|m), ", re.MULTILINE)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_FAULTS = re.compile(r"^\s*(?:Non-2xx|Socket errors).*$", re.MULTILINE)


def find_wrk() -> str | None:
    """Return the path of wrk, None when it is not installed."""
    return shutil.which("wrk")


def drive_wrk(
    program: str, url: str, headers: Mapping[str, str], *, connections: int, seconds: float
) -> Load:
    """GET one address with one thread; wrk knows whole seconds only. Raises BenchmarkFailed."""
    command = [program, "-t1", f"-c{connections}", f"-d{max(1, math.ceil(seconds))}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    result = subprocess.run(
        [*command, url], capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    if result.returncode != 0:
        raise BenchmarkFailed(f"wrk failed: {result.stderr.strip() or result.stdout.strip()}")
    return read_report(result.stdout)


def read_report(report: str) -> Load:
    """Return what wrk reports. Raises BenchmarkFailed when not every request succeeded."""
    fault = _FAULTS.search(report)
    if fault:
        raise BenchmarkFailed(f"wrk reports: {fault[0].strip()}")
    summary = _SUMMARY.search(report)
    if summary is None:
        raise BenchmarkFailed(f"wrk reports no requests:\n{report}")
    seconds = float(summary[2]) * _UNIT_SECONDS[summary[3]]
    return Load(int(summary[1]), 0, seconds, ())
