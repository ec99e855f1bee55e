"""Named places in the code where a test can make the process die, fail or wait.

Code that must survive a crash calls ``reach("storage.commit.renamed")`` at each step worth
dying at. Unarmed, that costs one truth test. Armed, the named action happens::

    ROADSTEAD_FAILPOINTS="storage.commit.renamed=kill" roadstead serve

The variable is read by the configuration only, which hands it to :func:`arm`; tests inside
one process call :func:`arm` and :func:`disarm` themselves.

A specification is a list of ``name=action`` joined by semicolons. Actions:

``kill``
    The process sends itself SIGKILL: no clean-up, no buffers flushed, as in a real crash.
``enospc``, ``edquot``, ``eio``, ``erofs``
    ``OSError`` with that error number, as a disk would give it.
``sleep:SECONDS``
    The thread says so on standard error, waits, then goes on; good for holding a race open.

An action happens each time its name is reached. ``@N`` limits it to the N-th time, counted
from the moment of arming (``storage.write=enospc@3``), and ``@N+`` to the N-th and all later
ones. Counters belong to the process: a restarted worker counts from one again.

Names are ``<feature>.<step>`` in the order the code reaches them. The storage drivers have
``storage.write`` (before bytes are written), ``storage.sync`` (before they are made durable),
``storage.commit.synced``, ``storage.commit.renamed`` and ``storage.commit.done``.
"""

import errno
import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field

_ERROR_NUMBERS = {
    "enospc": errno.ENOSPC,
    "edquot": errno.EDQUOT,
    "eio": errno.EIO,
    "erofs": errno.EROFS,
}

_ENTRY = re.compile(
    r"(?P<name>[a-z0-9_]+(?:\.[a-z0-9_]+)+)="
    r"(?P<action>kill|enospc|edquot|eio|erofs|sleep:(?P<seconds>\d+(?:\.\d+)?))"
    r"(?:@(?P<from>[1-9]\d*)(?P<onwards>\+)?)?"
)


@dataclass(slots=True)
class _Failpoint:
    """One armed name: what to do and at which of its visits."""

    action: str
    first: int
    last: int | None
    seconds: float = 0.0
    visits: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_due(self) -> bool:
        """Count this visit and say whether the action belongs to it."""
        with self.lock:
            self.visits += 1
            return self.first <= self.visits and (self.last is None or self.visits <= self.last)


_armed: dict[str, _Failpoint] = {}


def arm(specification: str) -> None:
    """Replace all armed failpoints by those of ``specification``; an empty text arms none.

    Raises ValueError, with the faulty entry in the message, when the text is malformed or
    names a failpoint twice; nothing is changed in that case.
    """
    points: dict[str, _Failpoint] = {}
    for entry in filter(None, (part.strip() for part in specification.split(";"))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"Failpoint entry {entry!r} is not of the form name=action[@N[+]].")
        if match["name"] in points:
            raise ValueError(f"Failpoint {match['name']!r} is named twice.")
        first = int(match["from"] or 1)
        endless = match["from"] is None or match["onwards"] is not None
        points[match["name"]] = _Failpoint(
            action=match["action"].partition(":")[0],
            first=first,
            last=None if endless else first,
            seconds=float(match["seconds"] or 0),
        )
    _armed.clear()
    _armed.update(points)


def disarm() -> None:
    """Remove every armed failpoint."""
    _armed.clear()


def reach(name: str) -> None:
    """Do what is armed for ``name``: nothing, wait, raise OSError, or end the process."""
    if _armed:
        _act(name)


def _act(name: str) -> None:
    point = _armed.get(name)
    if point is None or not point.is_due():
        return
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif point.action == "sleep":
        os.write(2, f"failpoint {name} sleeps\n".encode())
        time.sleep(point.seconds)
    else:
        number = _ERROR_NUMBERS[point.action]
        raise OSError(number, f"{os.strerror(number)} (failpoint {name})")
