"""Ending what was issued to a subject before its rights or its secret changed.

Two strengths. ``revoke_registry_tokens_locked`` is for smaller rights (a lesser role, a
removed membership): clients fetch a new registry token by themselves. ``revoke_subject_locked``
is for changed or lost credentials (new password, disabled account, rotated robot secret): it
ends refresh tokens too.

Both run inside the caller's transaction and hold an advisory lock on the subject until it
ends. ``stable_rights`` takes the same lock shared, so a token is issued either wholly before a
revocation, whose instant is then later, or after its commit, with the new rights. A revocation
of a great many subjects takes one lock that stands for all of them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.db import transaction

from core.common import clock
from core.database import raw

_LOCK_CLASS: Final = 0x7273
"""Sets these advisory locks apart from others in the same database."""

_EVERYBODY_LOCK: Final = 0x7274
SUBJECTS_LOCKED_ONE_BY_ONE: Final = 100
"""Above this, everybody is locked instead: PostgreSQL has room for some thousand locks."""

_UPSERT_REGISTRY_TOKENS: Final = """
INSERT INTO users_revocation AS stored (subject, revoked_at, credentials_revoked_at)
SELECT subject, %s, NULL FROM unnest(%s::text[]) AS subject
ON CONFLICT (subject) DO UPDATE SET
    revoked_at = GREATEST(stored.revoked_at, excluded.revoked_at)
"""

_UPSERT_CREDENTIALS: Final = """
INSERT INTO users_revocation AS stored (subject, revoked_at, credentials_revoked_at)
VALUES (%s, %s, %s)
ON CONFLICT (subject) DO UPDATE SET
    revoked_at = GREATEST(stored.revoked_at, excluded.revoked_at),
    credentials_revoked_at =
        GREATEST(stored.credentials_revoked_at, excluded.credentials_revoked_at)
"""


def revoke_subject_locked(subject: str, now: datetime) -> None:
    """End registry tokens and refresh tokens of the subject (``user:5``, ``robot:7``).

    Must run inside the transaction that changes or removes the subject's credentials.
    """
    at = _lock(subject, now)
    raw.execute(_UPSERT_CREDENTIALS, (subject, at, at))


def revoke_registry_tokens_locked(subject: str, now: datetime) -> None:
    """End the subject's registry tokens, keeping its logins.

    Must run inside the transaction that takes rights away.
    """
    raw.execute(_UPSERT_REGISTRY_TOKENS, (_lock(subject, now), [subject]))


def revoke_registry_tokens_of_many_locked(subjects: Iterable[str], now: datetime) -> None:
    """Do the same for several subjects, in order of id so that two callers never deadlock.

    However many they are, it takes two statements; see ``SUBJECTS_LOCKED_ONE_BY_ONE``.
    """
    ordered = sorted(set(subjects), key=lambda subject: (len(subject), subject))
    if not ordered:
        return
    _ensure_in_transaction()
    if len(ordered) <= SUBJECTS_LOCKED_ONE_BY_ONE:
        raw.fetch_one(
            "SELECT count(pg_advisory_xact_lock(%s, hashtext(subject)))"
            " FROM unnest(%s::text[]) AS subject",
            (_LOCK_CLASS, ordered),
        )
    else:
        instant_after_issuers_locked()
    raw.execute(_UPSERT_REGISTRY_TOKENS, (max(now, clock.now()), ordered))


def instant_after_issuers_locked() -> datetime:
    """Wait for all issuers under way, hold off others, and return an instant in between.

    For changes that take rights from nobody in particular. Until the end of the caller's
    transaction.
    """
    _ensure_in_transaction()
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s, 0)", (_EVERYBODY_LOCK,))
    return clock.now()


def lock_subject(subject: str) -> None:
    """Hold off issuers and other revocations until the end of the caller's transaction.

    For changes that lock rows which issuers lock as well: the subject comes first.
    """
    _ensure_in_transaction()
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK_CLASS, subject))


@contextmanager
def stable_rights(subject: str) -> Iterator[datetime]:
    """Hold off revocations of the subject and yield the instant of issue.

    Rights that are read inside the block belong to a token stamped with that instant.
    """
    with transaction.atomic():
        raw.fetch_one(
            "SELECT pg_advisory_xact_lock_shared(%s, 0),"
            " pg_advisory_xact_lock_shared(%s, hashtext(%s))",
            (_EVERYBODY_LOCK, _LOCK_CLASS, subject),
        )
        yield clock.now()


def _lock(subject: str, now: datetime) -> datetime:
    """Wait for issuers that are under way and return an instant after all of them."""
    lock_subject(subject)
    return max(now, clock.now())


def _ensure_in_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Revocations belong inside the transaction of the change.")
