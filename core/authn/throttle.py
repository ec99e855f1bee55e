"""Counting failed logins in PostgreSQL, so that all processes and hosts count together.

Limits within five minutes: 10 for a user name from one address, 50 for an address, 100 for a
user name. Equal attempts within two seconds are one failure.

The database lower-cases the names, because it also decides which of them mean the same user:
its idea of lower case differs from Python's, and each name that only Python tells apart would
have a limit of its own.

While the database can only be read, each process counts in its memory what it cannot store, and
adds it to what is stored (``unstored_failures.py``).
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from core.authn import rules
from core.authn.derived_keys import derived_key
from core.authn.errors import LoginThrottled
from core.authn.types import Credentials
from core.authn.unstored_failures import UNSTORED, Failure, FailureTimes
from core.common.clock import now as current_time
from core.common.origin import Origin, throttle_address
from core.database import raw
from core.database.read_only import unless_read_only

_USERNAME_WIDTH: Final = 255

_LIMITS: Final = """
SELECT
  (SELECT failed_at FROM authn_loginfailure
    WHERE username = left(lower(%s), 255) AND address = %s AND failed_at > %s
    ORDER BY failed_at DESC OFFSET %s LIMIT 1),
  (SELECT failed_at FROM authn_loginfailure
    WHERE address = %s AND failed_at > %s
    ORDER BY failed_at DESC OFFSET %s LIMIT 1),
  (SELECT failed_at FROM authn_loginfailure
    WHERE username = left(lower(%s), 255) AND failed_at > %s
    ORDER BY failed_at DESC OFFSET %s LIMIT 1),
  EXISTS (SELECT FROM authn_loginfailure
    WHERE username = left(lower(%s), 255) AND address = %s)
"""

_LIMITS_OF_EACH: Final = (
    rules.FAILURES_PER_PAIR,
    rules.FAILURES_PER_ADDRESS,
    rules.FAILURES_PER_USERNAME,
)

_RECORD: Final = """
INSERT INTO authn_loginfailure (username, address, attempt, failed_at)
SELECT left(lower(%s), 255), %s, %s, %s WHERE NOT EXISTS (
  SELECT FROM authn_loginfailure WHERE attempt IN (%s, %s) AND failed_at > %s
)
ON CONFLICT (attempt) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to log in, as far as limits care."""

    username: str
    address: str
    secret_digest: bytes
    began_at: datetime

    @classmethod
    def of(cls, credentials: Credentials, origin: Origin) -> "Attempt":
        """Build the attempt from what the client presented, however hostile."""
        username = credentials.username.encode(errors="replace").decode()
        return cls(
            username=username.replace("\x00", "")[:_USERNAME_WIDTH],
            address=throttle_address(origin.address),
            secret_digest=hashlib.sha256(
                credentials.secret.encode(errors="surrogatepass")
            ).digest(),
            began_at=current_time(),
        )

    def fingerprints(self) -> tuple[bytes, bytes, bytes]:
        """Return the keyed fingerprints for the present window, the one before and after."""
        window = int(self.began_at.timestamp()) // rules.REPEAT_WINDOW_SECONDS
        return (
            self._fingerprint(window),
            self._fingerprint(window - 1),
            self._fingerprint(window + 1),
        )

    def _fingerprint(self, window: int) -> bytes:
        message = "\n".join((str(window), self.address, self.username)).encode()
        return hmac.digest(
            derived_key("login failures"), message + b"\n" + self.secret_digest, hashlib.sha256
        )


def ensure_allowed(attempt: Attempt) -> bool:
    """Refuse the attempt when a limit is reached, before anybody looks at the secret.

    Returns whether failures of this name and address are counted. Raises ``LoginThrottled``.
    """
    return _ensure_below_limits(attempt, already_counted=0)


def reserve(attempt: Attempt) -> None:
    """Count the attempt as failed before a slow comparison begins.

    Parallel guesses see each other this way, so no burst gets more of them than a limit
    allows. A success clears the row again. Raises ``LoginThrottled`` and then takes the row
    back, because the secret was not looked at.
    """
    is_stored = unless_read_only(partial(record_failure, attempt))
    is_remembered = is_stored is None and _remember(attempt, _stored_name(attempt))
    try:
        _ensure_below_limits(attempt, already_counted=1)
    except LoginThrottled:
        fingerprint = attempt.fingerprints()[0]
        if is_stored:
            delete = "DELETE FROM authn_loginfailure WHERE attempt = %s"
            unless_read_only(lambda: raw.execute(delete, (fingerprint,)))
        if is_remembered:
            UNSTORED.remove(fingerprint)
        raise


def record_failure(attempt: Attempt) -> bool:
    """Store the failure; returns False when an equal attempt within two seconds stands for it."""
    present, before, after = attempt.fingerprints()
    since = attempt.began_at - timedelta(seconds=rules.REPEAT_WINDOW_SECONDS)
    values = (attempt.username, attempt.address, present, attempt.began_at, before, after, since)
    return raw.execute(_RECORD, values) == 1


def remember_failure(attempt: Attempt) -> None:
    """Count the failure in the memory of this process, for want of a database to store it in.

    Of one address no more are kept than shut it out, lest it fill the memory alone.
    """
    name = _stored_name(attempt)
    of_address = UNSTORED.times(name, attempt.address, attempt.began_at).of_address
    if len(of_address) < rules.FAILURES_PER_ADDRESS and UNSTORED.full_since() is None:
        _remember(attempt, name)


def are_failures_remembered() -> bool:
    """Tell whether this process counts any failure that is not stored; no I/O."""
    return UNSTORED.are_there(current_time())


def clear(attempt: Attempt) -> None:
    """Forget the failures of this name from this address; stored ones only if that is possible."""
    pair = (attempt.username, attempt.address)
    delete = "DELETE FROM authn_loginfailure WHERE username = left(lower(%s), 255) AND address = %s"
    unless_read_only(lambda: raw.execute(delete, pair))
    if UNSTORED.are_there(attempt.began_at):
        UNSTORED.clear(_stored_name(attempt), attempt.address)


def forget_failures(username: str) -> int:
    """Forget the failures of this name from every address and return how many there were."""
    return raw.execute(
        "DELETE FROM authn_loginfailure WHERE username = left(lower(%s), 255)",
        (username.replace("\x00", ""),),
    )


def delete_old(now: datetime) -> int:
    """Remove failures that no limit counts any more and return how many."""
    return raw.execute(
        "DELETE FROM authn_loginfailure WHERE failed_at <= %s", (now - rules.FAILURE_WINDOW,)
    )


def _ensure_below_limits(attempt: Attempt, *, already_counted: int) -> bool:
    since = attempt.began_at - rules.FAILURE_WINDOW
    pair = (attempt.username, attempt.address)
    remembered = _remembered_times(attempt)
    places = [limit - 1 + already_counted for limit in _LIMITS_OF_EACH]
    # What is remembered takes the first places: it is newer, while the database stays read-only.
    skipped = [max(0, place - len(times)) for place, times in zip(places, remembered, strict=True)]
    values = (
        *(*pair, since, skipped[0]),
        *(attempt.address, since, skipped[1]),
        *(attempt.username, since, skipped[2]),
    )
    *stored, has_failures = raw.fetch_all(_LIMITS, [*values, *pair])[0]
    by_pair, by_address, by_username = (
        times[place] if len(times) > place else found
        for place, times, found in zip(places, remembered, stored, strict=True)
    )
    # A secret that came without a name says nothing about whom the attempts are aimed at.
    counted = (by_pair, by_address, by_username if attempt.username else None)
    wait = rules.retry_after_seconds((*counted, UNSTORED.full_since()), attempt.began_at)
    if wait is not None:
        raise LoginThrottled(retry_after_seconds=wait)
    return bool(has_failures or remembered.of_pair)


def _remember(attempt: Attempt, stored_name: str) -> bool:
    present, before, after = attempt.fingerprints()
    failure = Failure(stored_name, attempt.address, present, attempt.began_at)
    return UNSTORED.add(failure, neighbours=(before, after))


def _remembered_times(attempt: Attempt) -> FailureTimes:
    if not UNSTORED.are_there(attempt.began_at):
        return FailureTimes([], [], [])
    return UNSTORED.times(_stored_name(attempt), attempt.address, attempt.began_at)


def _stored_name(attempt: Attempt) -> str:
    """Return the name as the database would store it."""
    row = raw.fetch_one("SELECT left(lower(%s), 255)", (attempt.username,))
    return "" if row is None else str(row[0])
