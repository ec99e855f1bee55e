"""A real `roadstead serve` for tests: started, awaited, killed, restarted, stopped."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import psutil

from tests.support import new_directory

READY = re.compile(r"Roadstead is ready at (\S+)")
# Many times what it takes: the machine may have other things to do.
START_TIMEOUT_SECONDS = 180.0
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = "admin"
PASSWORD = "Correct-horse-9"


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ended(processes: Iterable[psutil.Process], timeout: float = 10.0) -> None:
    """Wait until the processes hold nothing any more. TimeoutError when one goes on.

    One that has ended may stay in the table until the first process of the machine takes notice.
    """
    deadline = time.monotonic() + timeout
    for process in processes:
        while _is_at_work(process):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {process.pid} goes on")
            time.sleep(0.01)


def _is_at_work(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class RunningServer:
    """One server with its own port and data directory.

    Use as a context manager, or call `start` and `stop`. The administrator's password
    is `PASSWORD` unless `password=None`, when the server makes one (`made_password`). In a
    session of tests all servers with `PASSWORD` go on from copies of one first start, and share
    its keys; whoever tests that start lets the server make the password.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        password: str | None = PASSWORD,
        **variables: str,
    ) -> None:
        """Prepare; `variables` are settings without their prefix, such as ``workers="1"``."""
        self._owns_data_dir = data_dir is None
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="roadstead-server-"))
        self.port = port or free_port()
        self._password = password
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.data_dir.parent / f"{self.data_dir.name}-{id(self):x}.log"

    @property
    def registry(self) -> str:
        """Host and port, as registry clients write it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Address without a trailing slash."""
        return f"http://{self.registry}"

    @property
    def admin_password(self) -> str:
        """Password of the administrator, set or made."""
        return self._password or self.made_password

    @property
    def made_password(self) -> str:
        """The password that the server printed. AssertionError if it printed none."""
        match = re.search(r"Password:\s+(\S+)", self.output())
        assert match is not None, f"no password in the output:\n{self.output()}"
        return match[1]

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Return the environment of the server, also right for `roadstead` commands beside it."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ROADSTEAD_")}
        settings = {
            "data_dir": str(self.data_dir),
            "port": str(self.port),
            "minimum_free_bytes": "0",
            **({"admin_password": self._password} if self._password else {}),
            **self._variables,
        }
        return {
            **inherited,
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "PYTHONUNBUFFERED": "1",
            **{f"ROADSTEAD_{name.upper()}": value for name, value in settings.items()},
        }

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process and return it without waiting."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "core.config.cli", "serve"],
                cwd="/",
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self._process

    def start(self, timeout: float = START_TIMEOUT_SECONDS) -> Self:
        """Start and wait until it answers. AssertionError with its output if it does not."""
        if self._password == PASSWORD:
            new_directory.fill(self.data_dir, self.environment())
        give_up_at = time.monotonic() + timeout
        process = self.launch()
        while READY.search(self.output()) is None:
            assert process.poll() is None, f"the server ended:\n{self.output()}"
            if time.monotonic() > give_up_at:
                self.kill()
                raise AssertionError(f"not ready in time:\n{self.output()}")
            time.sleep(0.02)
        return self

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes since they were started, ended children included.

        Unlike the time on the clock it says the same on a machine that has other things to do.
        """
        return sum(sum(process.cpu_times()[:4]) for process in self.processes())

    def stop(self, order: int = signal.SIGTERM, timeout: float = 120.0) -> int:
        """Ask the server to stop; return its exit code."""
        assert self._process is not None, "the server was not started"
        if self._process.poll() is None:
            self._process.send_signal(order)
        return self._process.wait(timeout)

    def kill_supervisor(self) -> None:
        """SIGKILL for the supervisor alone: its children have to notice by themselves."""
        assert self._process is not None, "the server was not started"
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """SIGKILL for every process of the server at once, as when the power fails."""
        family = self.processes()
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        assert self._process is not None
        self._process.wait()
        wait_until_ended(family)

    def web_workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        parents = psutil.Process(self.pid).children()
        return [w for parent in parents if "web" in parent.cmdline() for w in parent.children()]

    def kill_web_processes(self) -> None:
        """SIGKILL for the processes that answer requests; the server starts new ones."""
        for worker in self.web_workers():
            # One that was killed before may be listed until it has ended.
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()

    def processes(self) -> list[psutil.Process]:
        """Return the supervisor and all its descendants that run now."""
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def memory_bytes(self) -> int:
        """Return the memory of all processes, shared pages counted once (PSS)."""
        return sum(process.memory_full_info().pss for process in self.processes())

    def output(self) -> str:
        """Return what the server has printed since it was last started."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `roadstead` with the server's settings and return the result."""
        return subprocess.run(
            [sys.executable, "-m", "core.config.cli", *arguments],
            cwd="/",
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def remove(self) -> None:
        """Remove the log, and the data directory if it was made here."""
        self._log.unlink(missing_ok=True)
        if self._owns_data_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.remove()
