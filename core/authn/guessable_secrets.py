"""Verifying secrets that somebody chose, which others can guess: passwords, and some of robots.

They are stored under a slow hash. An attempt counts as failed before its secret is looked at, and
what was verified is remembered for a minute, so that requests with credentials cost one hash a
minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.authn import throttle
from core.authn.password_memory import MEMORY
from core.authn.types import Credentials
from core.common.origin import Origin
from core.users import passwords

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Holder(Generic[Found]):
    """What was found under a name, and the slow hashes of the secrets that prove it now.

    ``subject`` is its key (``Actor.subject``). Without hashes no secret proves it: nobody has the
    name, or whoever has it may not log in.
    """

    found: Found
    subject: str = ""
    hashes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Verdict(Generic[Found]):
    """What was found at last, and the hash that the secret matches; None when it matches none.

    ``is_remembered`` says that nothing was compared, because an earlier login had done so.
    """

    found: Found
    matching_hash: str | None = field(repr=False)
    is_remembered: bool


def verify(
    credentials: Credentials, origin: Origin, find: Callable[[], Holder[Found]]
) -> Verdict[Found]:
    """Compare the secret with those of the holder that ``find`` reads, from anew each time.

    What does not match costs one slow hash, or one for each secret in force, also where there is
    no holder. Raises ``LoginThrottled``.
    """
    verdict = _recalled(credentials, find())
    if verdict is not None:
        return verdict
    with MEMORY.turn(credentials.username, credentials.secret):
        # Read again: the wait may have been long, and somebody may have done the same meanwhile.
        holder = find()
        return _recalled(credentials, holder) or _compared(credentials, origin, holder)


def _recalled(credentials: Credentials, holder: Holder[Found]) -> Verdict[Found] | None:
    for stored_hash in holder.hashes:
        if MEMORY.recalls(holder.subject, stored_hash, credentials.secret):
            return Verdict(holder.found, stored_hash, is_remembered=True)
    return None


def _compared(credentials: Credentials, origin: Origin, holder: Holder[Found]) -> Verdict[Found]:
    attempt = throttle.Attempt.of(credentials, origin)
    throttle.reserve(attempt)
    for stored_hash in holder.hashes or (None,):
        is_correct = passwords.is_correct(credentials.secret, stored_hash)
        if is_correct and stored_hash is not None:
            throttle.clear(attempt)
            MEMORY.remember(holder.subject, stored_hash, credentials.secret)
            return Verdict(holder.found, stored_hash, is_remembered=False)
    return Verdict(holder.found, None, is_remembered=False)
