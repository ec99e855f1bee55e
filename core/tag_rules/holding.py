"""The lock between writes that move or end tags and changes of the rules about them.

Such a write holds the rules of its project from before it reads them until it commits, beside
any number of others. A rule that becomes stricter waits for these and is committed alone; who
comes after it reads it. So no write rests on rules that are no longer in force. Writes that
only set new tags never take the lock.
"""

from typing import Final

from core.database import raw
from core.tag_rules.queries import ENABLED_RULES
from core.tag_rules.rules import Immutability, immutability_in
from core.tag_rules.types import Selectors

_KEY: Final = "hashtextextended('tag_rules:' || %s, 0)"

# Two statements in one message: the second sees what was committed while the first waited.
_HOLD_AND_READ: Final = f"SELECT pg_advisory_xact_lock_shared({_KEY}); {ENABLED_RULES}"

_HOLD_ALONE: Final = f"SELECT pg_advisory_xact_lock({_KEY})"


def hold_rules_locked(project_id: int, repository_name: str) -> Immutability:
    """Return which tags of a repository are immutable, true until the commit.

    The last lock of a write on content but that of the repository's row, which it updates.
    """
    rows = raw.fetch_all(_HOLD_AND_READ, (project_id, project_id))
    return immutability_in(repository_name, [Selectors(*row) for row in rows])


def hold_off_writes_locked(project_id: int) -> None:
    """Wait for the writes that have read the rules, and keep others from it until the commit.

    The caller holds the row of the project, so that changes of its rules take turns.
    """
    raw.fetch_one(_HOLD_ALONE, (project_id,))
