"""The parts of `roadstead serve` as child processes: started, watched, stopped.

A part that ends by itself is started again; one that keeps ending stops the server,
because a registry that quietly lacks a part is worse than one that is down.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from core.config.privileges import preparation

STOP_SECONDS = 30.0
RESTARTS_PER_MINUTE = 5
POLL_SECONDS = 0.1
# A part that ended waits this long, so that a short fault does not use up its restarts.
RESTART_DELAY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Part:
    """One child process and how it is started and stopped."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    death_signal: int = signal.SIGTERM
    """What the child gets when this process ends without stopping it."""
    inherited: tuple[int, ...] = ()
    """Numbers of the open files that the child keeps."""
    process: subprocess.Popen[bytes] | None = None
    ended_at: list[float] = field(default_factory=list)
    """When it ended by itself within the last minute (monotonic seconds)."""
    restart_at: float | None = None
    """When it is started again (monotonic seconds); None: it has not ended."""

    def start(self) -> None:
        """Start the child, in a session of its own: a Ctrl-C is the supervisor's affair."""
        self.restart_at = None
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            pass_fds=self.inherited,
            start_new_session=True,
            preexec_fn=preparation(self.death_signal),
        )

    def is_running(self) -> bool:
        """Say whether the child has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def keeps_ending(self, now: float) -> bool:
        """Count an end at `now` (monotonic seconds) and say whether there were too many."""
        self.ended_at = [at for at in self.ended_at if now - at < 60] + [now]
        return len(self.ended_at) > RESTARTS_PER_MINUTE


VitalProcess = tuple[str, subprocess.Popen[bytes]]
"""Name and process of an embedded service, without which nothing works."""


class Supervisor:
    """Watches parts until it is told to stop or one of them cannot be kept running."""

    def __init__(self, parts: Sequence[Part], vital: Sequence[VitalProcess]) -> None:
        """Take the `parts` to run and the `vital` processes whose end is the end of all."""
        self._parts = parts
        self._vital = vital
        self._orders = 0

    @property
    def is_stopping(self) -> bool:
        """Say whether a signal to stop has come."""
        return self._orders > 0

    def listen(self) -> None:
        """Take SIGINT and SIGTERM as the order to stop; a second one stops at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._order)

    def start(self) -> None:
        """Start every part."""
        for part in self._parts:
            part.start()

    def failure(self) -> str | None:
        """Start parts again that ended; return why the server cannot go on, else None."""
        for name, process in self._vital:
            if process.poll() is not None and not self.is_stopping:
                return f"{name} has ended with code {process.returncode}"
        now = time.monotonic()
        for part in self._parts:
            if part.is_running() or self.is_stopping:
                continue
            code = part.process.returncode if part.process is not None else None
            if part.restart_at is None:
                _log.error("part_ended", part=part.name, code=code)
                if part.keeps_ending(now):
                    return f"{part.name} keeps ending, at last with code {code}"
                part.restart_at = now + RESTART_DELAY_SECONDS
            elif now >= part.restart_at:
                part.start()
        return None

    def watch(self) -> str | None:
        """Return None when told to stop, or the reason why the server cannot go on."""
        while not self.is_stopping:
            reason = self.failure()
            if reason is not None:
                return reason
            time.sleep(POLL_SECONDS)
        return None

    def stop(self) -> None:
        """Ask every part to finish, and end those that do not within the time allowed."""
        running = [part for part in self._parts if part.is_running()]
        _signal_all(running, signal.SIGTERM)
        asked = self._orders
        deadline = time.monotonic() + STOP_SECONDS
        while any(part.is_running() for part in running):
            if time.monotonic() > deadline or self._orders > max(asked, 1):
                break
            time.sleep(0.02)
        _signal_all(running, signal.SIGQUIT)
        deadline = time.monotonic() + 2
        while any(part.is_running() for part in running) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal_all(running, signal.SIGKILL)
        for part in running:
            if part.process is not None:
                part.process.wait()

    def _order(self, _number: int, _frame: object) -> None:
        self._orders += 1


def _signal_all(parts: Sequence[Part], number: int) -> None:
    for part in parts:
        if part.is_running() and part.process is not None:
            part.process.send_signal(number)
