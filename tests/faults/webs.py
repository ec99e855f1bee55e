"""A web process beside a running server, armed to die or to stand still at one step."""

import re
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import psutil

from tests.clients.protocol import Account, ConnectionLost, Registry
from tests.support.server import RunningServer, free_port, wait_until_ended

START_TIMEOUT_SECONDS = 120.0
REACH_TIMEOUT_SECONDS = 60.0

_SLEEPS = re.compile(r"^failpoint \S+ sleeps$", re.MULTILINE)


class ArmedWeb:
    """`roadstead web` on the database and storage of a server, with failpoints.

    Its one worker is started anew when it has killed itself; the new one is armed again.
    """

    def __init__(self, server: RunningServer, failpoints: str = "", **variables: str) -> None:
        """Prepare; see core.common.failpoints. `variables` are settings without their prefix."""
        self._port = free_port()
        self._log = server.data_dir / "log" / f"armed-{self._port}.log"
        self._environment = server.environment() | {
            "ROADSTEAD_PORT": str(self._port),
            "ROADSTEAD_WORKERS": "1",
            **({"ROADSTEAD_FAILPOINTS": failpoints} if failpoints else {}),
            **{f"ROADSTEAD_{name.upper()}": value for name, value in variables.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def as_account(self, account: Account) -> Registry:
        """Return the registry as it answers through this process."""
        return Registry(self.address, account)

    def __enter__(self) -> Self:
        """Start and wait until it answers."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "core.config.cli", "web"],
                cwd="/",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            failed = self._process.poll() is not None or time.monotonic() > deadline
            if failed:
                self.kill()
                raise AssertionError(f"the web process does not start:\n{self.output()}")
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill whatever is left of it."""
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the process and its workers at once."""
        family = self._family()
        for process in family:
            process.suspend()
        for process in family:
            process.kill()
        if self._process is not None:
            self._process.wait()
        wait_until_ended(family)

    def wait_until_asleep(self) -> None:
        """Wait until a thread sleeps at its failpoint; AssertionError if none ever does."""
        deadline = time.monotonic() + REACH_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if _SLEEPS.search(self.output()):
                return
            time.sleep(0.02)
        raise AssertionError(f"no thread has reached the failpoint:\n{self.output()}")

    def worker_pid(self) -> int:
        """Return the process that answers requests."""
        _root, worker, *others = self._family()
        assert not others, "there is more than one worker"
        return worker.pid

    def output(self) -> str:
        """Return what it has printed."""
        return self._log.read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            return Registry(self.address).request("GET", "/v2/", timeout=5).status == 401
        except (ConnectionLost, OSError):
            return False

    def _family(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]
