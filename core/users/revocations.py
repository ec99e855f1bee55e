"""Ending what was issued to a subject before its rights or its secret changed.

Each subject has a generation, a number that every revocation moves on in the transaction of
the change. Whoever issues something reads the generation no later than the credentials and the
rights it rests on, and writes it on what is issued; whoever accepts it compares. What was issued
from a state that has changed carries a number of the past, whenever it was signed: no lock holds
issuers off, and no clocks are compared.

Two strengths. ``revoke_registry_tokens_locked`` is for smaller rights (a lesser role, a
removed membership): clients fetch a new registry token by themselves. ``revoke_subject_locked``
is for changed or lost credentials (new password, disabled account, rotated robot secret): it
ends refresh tokens too. Both belong last in the caller's transaction, after the rows it locks:
changes of one subject queue here.
"""

from typing import Final, NamedTuple

from django.db import transaction

from core.database import raw

_REVOKE_REGISTRY_TOKENS: Final = """
INSERT INTO users_revocation AS stored (subject, generation, credentials_generation)
SELECT subject, 1, 0 FROM unnest(%s::text[]) AS subject
ON CONFLICT (subject) DO UPDATE SET generation = stored.generation + 1
"""

_REVOKE_CREDENTIALS: Final = """
INSERT INTO users_revocation AS stored (subject, generation, credentials_generation)
VALUES (%s, 1, 1)
ON CONFLICT (subject) DO UPDATE SET
    generation = stored.generation + 1,
    credentials_generation = stored.generation + 1
"""

_FIND: Final = "SELECT generation, credentials_generation FROM users_revocation WHERE subject = %s"


class Generations(NamedTuple):
    """The present generation of a subject, and the first whose refresh tokens still count."""

    present: int
    credentials: int


def revoke_subject_locked(subject: str) -> None:
    """End registry tokens and refresh tokens of the subject (``user:5``, ``robot:7``).

    Must run inside the transaction that changes or removes the subject's credentials.
    """
    _ensure_in_transaction()
    raw.execute(_REVOKE_CREDENTIALS, (subject,))


def revoke_registry_tokens_locked(*subjects: str) -> None:
    """End the subjects' registry tokens with one statement, keeping their logins.

    Must run inside the transaction that takes rights away. The rows are taken in order of id,
    so that two callers never deadlock.
    """
    _ensure_in_transaction()
    ordered = sorted(set(subjects), key=lambda subject: (len(subject), subject))
    if ordered:
        raw.execute(_REVOKE_REGISTRY_TOKENS, (ordered,))


def find_generations(subject: str) -> Generations:
    """Return the generations of a subject, to be read before what is issued in them."""
    row = raw.fetch_one(_FIND, (subject,))
    return Generations(*row) if row is not None else Generations(0, 0)


def _ensure_in_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Revocations belong inside the transaction of the change.")
