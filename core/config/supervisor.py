"""The parts of `roadstead serve` as child processes: started, watched, stopped.

A part or an embedded service that ends by itself is started again; one that keeps ending
stops the server, because a registry that quietly lacks a part is worse than one that is down.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
    is_mute: bool = False
    """Whether what it prints beside its log is dropped."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the child, in a session of its own: a Ctrl-C is the supervisor's affair."""
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if self.is_mute else None,
            pass_fds=self.inherited,
            start_new_session=True,
            preexec_fn=preparation(self.death_signal),
        )


class Watched(Protocol):
    """What the supervisor keeps running: parts and embedded services alike."""

    name: str
    process: subprocess.Popen[bytes] | None

    def start(self) -> None:
        """Start the process, or start it again after it has ended."""


@dataclass(slots=True)
class _Ends:
    """How often something has ended by itself, and when it is started again."""

    within_a_minute: list[float] = field(default_factory=list)
    restart_at: float | None = None

    def count(self, now: float) -> bool:
        """Count an end at `now` (monotonic seconds) and say whether there were too many."""
        recent = [at for at in self.within_a_minute if now - at < 60]
        self.within_a_minute = [*recent, now]
        self.restart_at = now + RESTART_DELAY_SECONDS
        return len(self.within_a_minute) > RESTARTS_PER_MINUTE


class Supervisor:
    """Watches parts until it is told to stop or one of them cannot be kept running."""

    def __init__(self, parts: Sequence[Part], services: Sequence[Watched]) -> None:
        """Take the `parts` to run and the `services`, started and stopped elsewhere."""
        self._parts = parts
        self._watched: tuple[Watched, ...] = (*services, *parts)
        self._ends = {watched.name: _Ends() for watched in self._watched}
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
        """Start again what has ended; return why the server cannot go on, else None."""
        now = time.monotonic()
        for watched in self._watched:
            if _is_running(watched) or self.is_stopping:
                continue
            ends = self._ends[watched.name]
            if ends.restart_at is None:
                code = watched.process.returncode if watched.process is not None else None
                _log.error("part_ended", part=watched.name, code=code)
                if ends.count(now):
                    return f"{watched.name} keeps ending, at last with code {code}"
            elif now >= ends.restart_at:
                ends.restart_at = None
                watched.start()
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
        running = [part for part in self._parts if _is_running(part)]
        _signal_all(running, signal.SIGTERM)
        asked = self._orders
        deadline = time.monotonic() + STOP_SECONDS
        while any(_is_running(part) for part in running):
            if time.monotonic() > deadline or self._orders > max(asked, 1):
                break
            time.sleep(0.02)
        _signal_all(running, signal.SIGQUIT)
        deadline = time.monotonic() + 2
        while any(_is_running(part) for part in running) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal_all(running, signal.SIGKILL)
        for part in running:
            if part.process is not None:
                part.process.wait()

    def _order(self, _number: int, _frame: object) -> None:
        self._orders += 1


def _is_running(watched: Watched) -> bool:
    return watched.process is not None and watched.process.poll() is None


def _signal_all(parts: Sequence[Part], number: int) -> None:
    for part in parts:
        if _is_running(part) and part.process is not None:
            part.process.send_signal(number)
