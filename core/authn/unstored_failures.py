"""Failed logins that the database could not take, because it can only be read.

Each process counts its own, with the limits of those that are stored and together with them
(``throttle.py``). They count until they are past their window, also when the database can be
written again meanwhile.
"""

from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, NamedTuple

from core.authn import rules

MAXIMUM_UNSTORED: Final = 10_000
"""How many are kept. With more within one window no password is looked at any more."""


class Failure(NamedTuple):
    """One failed login. ``username`` is in lower case as the database writes it."""

    username: str
    address: str
    attempt: bytes
    failed_at: datetime


class FailureTimes(NamedTuple):
    """When the failures were that each limit counts, the newest first."""

    of_pair: list[datetime]
    of_address: list[datetime]
    of_username: list[datetime]


class UnstoredFailures:
    """The failures of one process, shared by its threads."""

    def __init__(self, *, maximum: int = MAXIMUM_UNSTORED) -> None:
        self._maximum = maximum
        self._guard = Lock()
        self._failures: deque[Failure] = deque()

    def __len__(self) -> int:
        return len(self._failures)

    def are_there(self, now: datetime) -> bool:
        """Tell whether any failure still counts."""
        if not self._failures:
            return False
        with self._guard:
            self._forget_old(now)
            return bool(self._failures)

    def add(self, failure: Failure, *, neighbours: Collection[bytes]) -> bool:
        """Count a failure; False when an equal attempt stands for it already.

        ``neighbours`` are the fingerprints of equal attempts in the windows beside its own.
        """
        since = failure.failed_at - timedelta(seconds=rules.REPEAT_WINDOW_SECONDS)
        with self._guard:
            self._forget_old(failure.failed_at)
            for known in self._failures:
                if known.attempt == failure.attempt or (
                    known.attempt in neighbours and known.failed_at > since
                ):
                    return False
            self._failures.append(failure)
        return True

    def remove(self, attempt: bytes) -> None:
        """Take one back."""
        self._keep(lambda known: known.attempt != attempt)

    def clear(self, username: str, address: str) -> None:
        """Forget those of a name from an address."""
        self._keep(lambda known: (known.username, known.address) != (username, address))

    def times(self, username: str, address: str, now: datetime) -> FailureTimes:
        """Return what counts at the moment for a name and an address."""
        times = FailureTimes([], [], [])
        with self._guard:
            self._forget_old(now)
            for known in reversed(self._failures):
                is_same_name, is_same_address = known.username == username, known.address == address
                if is_same_name and is_same_address:
                    times.of_pair.append(known.failed_at)
                if is_same_address:
                    times.of_address.append(known.failed_at)
                if is_same_name:
                    times.of_username.append(known.failed_at)
        return times

    def full_since(self) -> datetime | None:
        """Return the oldest of more failures than are kept, None while there is room."""
        with self._guard:
            return self._failures[0].failed_at if len(self._failures) > self._maximum else None

    def forget(self) -> None:
        """Forget all."""
        with self._guard:
            self._failures.clear()

    def _forget_old(self, now: datetime) -> None:
        while self._failures and self._failures[0].failed_at <= now - rules.FAILURE_WINDOW:
            self._failures.popleft()

    def _keep(self, counts: Callable[[Failure], bool]) -> None:
        with self._guard:
            self._failures = deque(filter(counts, self._failures))


UNSTORED = UnstoredFailures()
