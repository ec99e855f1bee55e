"""Ending what was issued to a subject before its rights or its secret changed.

Each subject has a generation, a number that every revocation moves on in the transaction of
the change. Whoever issues something reads the generation no later than the credentials and the
rights it rests on, and writes it on what is issued; whoever accepts it compares. What was issued
from a state that has changed carries a number of the past, whenever it was signed: no lock holds
issuers off, and no clocks are compared.

Two strengths. ``revoke_registry_tokens_locked`` is for smaller rights (a lesser role, a
removed membership): clients fetch a new registry token by themselves. ``revoke_subject_locked``
is for changed or lost credentials (new password, disabled account, rotated robot secret): it
ends refresh tokens too. ``announce_rights_locked`` is for what a subject is given: it ends
nothing. They belong last in the caller's transaction, after the rows it locks: changes of one
subject queue here.

Each of them gives the subject's row another version. What a user may do in a project is remembered
for as long as this row stays the same (``core.grants.lookups``), so no change of rights may do
without, unless the project's row or the repository's id changes with it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from django.db import transaction

from core.database import raw

_REVOKE_REGISTRY_TOKENS: Final = """
INSERT INTO users_revocation AS stored (subject, generation, credentials_generation)
SELECT subject, 1, 0 FROM unnest(%s::text[]) AS subject
ON CONFLICT (subject) DO UPDATE SET generation = stored.generation + 1
"""

_ANNOUNCE_RIGHTS: Final = """
INSERT INTO users_revocation AS stored (subject, generation, credentials_generation)
SELECT subject, 0, 0 FROM unnest(%s::text[]) AS subject
ON CONFLICT (subject) DO UPDATE SET generation = stored.generation
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

    Must run inside the transaction that takes rights away.
    """
    _change_in_order(_REVOKE_REGISTRY_TOKENS, subjects)


def announce_rights_locked(*subjects: str) -> None:
    """Let whoever remembers what the subjects may do ask again, with one statement.

    Must run inside the transaction that gives them rights. What was issued before goes on.
    """
    _change_in_order(_ANNOUNCE_RIGHTS, subjects)


def _change_in_order(statement: str, subjects: Iterable[str]) -> None:
    """Take the rows in order of id, so that two callers never deadlock."""
    _ensure_in_transaction()
    ordered = sorted(set(subjects), key=lambda subject: (len(subject), subject))
    if ordered:
        raw.execute(statement, (ordered,))


def find_generations(subject: str) -> Generations:
    """Return the generations of a subject, to be read before what is issued in them."""
    row = raw.fetch_one(_FIND, (subject,))
    return Generations(*row) if row is not None else Generations(0, 0)


def _ensure_in_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Revocations belong inside the transaction of the change.")
