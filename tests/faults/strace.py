"""System calls of a process, watched or made to fail, by the program strace.

Nothing in the product knows of it: what is recorded are the calls that the kernel saw, and an
error comes from where a failing disk's would come.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

ATTACH_TIMEOUT_SECONDS = 30.0

# Every call that changes files, so that none is overlooked, and those that send answers.
CHANGES = (
    "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,syncfs,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,"
    "ftruncate,truncate,fallocate,copy_file_range,splice"
)
SENDS = "sendto,sendmsg,sendmmsg,sendfile"

_LINE = re.compile(r"(?P<process>\d+) +(?P<rest>.*)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += +(?P<result>-?\d+)")
_BEGIN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>")
_END = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += +(?P<result>-?\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


@cache
def _reason_to_skip() -> str:
    if shutil.which("strace") is None:
        return "strace is not installed"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tried = subprocess.run(
            ["timeout", "-s", "INT", "1", "strace", "-o", "/dev/null", "-p", str(child.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        child.kill()
        child.wait()
        if child.stdin is not None:
            child.stdin.close()
    return "" if "attached" in tried.stderr else f"strace may not attach here: {tried.stderr}"


def need_strace() -> None:
    """Skip the test where processes cannot be traced."""
    if reason := _reason_to_skip():
        pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call. `began` and `ended` are its places in the order of all that happened."""

    name: str
    arguments: str
    result: int
    began: int
    ended: int

    @property
    def strings(self) -> list[bytes]:
        """The strings among the arguments: names, or bytes that are written."""
        return [_decoded(each) for each in _STRING.findall(self.arguments)]

    @property
    def file(self) -> str:
        """The name behind the first descriptor; an empty text without one."""
        found = _DESCRIPTOR.search(self.arguments)
        return os.fsdecode(_decoded(found[2])) if found else ""

    @property
    def last_number(self) -> int:
        """The last argument, which is the offset of a positioned write or the new length."""
        return int(self.arguments.rpartition(",")[2], 0)


class Attached:
    """strace at a running process and all its threads, until the block ends."""

    def __init__(
        self,
        process: int,
        *,
        trace: str,
        inject: str = "",
        paths: Sequence[Path] = (),
    ) -> None:
        """`inject` is what strace takes: ``fdatasync:error=EIO``; `paths` narrow it down."""
        self._log = Path(tempfile.mkdtemp(prefix="roadstead-strace-")) / "calls"
        self._said = self._log.with_name("said")
        self._command = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-o", str(self._log)]
        self._command += ["-e", f"trace={trace}", "-p", str(process)]
        self._command += ["-e", f"inject={inject}"] if inject else []
        for path in paths:
            self._command += ["-P", str(path)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(self._command, stderr=said)
        deadline = time.monotonic() + ATTACH_TIMEOUT_SECONDS
        while "attached" not in self._said.read_text():
            assert self._process.poll() is None, self._said.read_text()
            assert time.monotonic() < deadline, "strace does not attach"
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()
        shutil.rmtree(self._log.parent)

    def detach(self) -> None:
        """Let go of the process; it goes on undisturbed."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(ATTACH_TIMEOUT_SECONDS)

    def calls(self) -> list[SystemCall]:
        """Let go of the process and return what it did."""
        self.detach()
        return list(parse(self._log.read_text()))

    @property
    def injected(self) -> int:
        """How many errors were made so far."""
        return self._log.read_text().count("(INJECTED)")


def run_with_fault(command: Sequence[str], *, inject: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which one system call fails."""
    trace = inject.partition(":")[0]
    strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={trace}", "-e", f"inject={inject}"]
    return subprocess.run(
        [*strace, *command], capture_output=True, text=True, timeout=60, check=False
    )


def parse(log: str) -> Iterator[SystemCall]:
    """Read strace's log; a call that was never finished is left out."""
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(log.splitlines()):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        process, rest = found["process"], found["rest"]
        if whole := _WHOLE.match(rest):
            result = int(whole["result"])
            yield SystemCall(whole["name"], whole["arguments"], result, number, number)
        elif begin := _BEGIN.fullmatch(rest):
            begun[process] = (number, begin["arguments"])
        elif (end := _END.match(rest)) and process in begun:
            began, arguments = begun.pop(process)
            arguments += end["arguments"]
            yield SystemCall(end["name"], arguments, int(end["result"]), began, number)


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
