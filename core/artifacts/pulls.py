"""Counting pulls without a write in their way.

A pull is buffered in memory, stored as a row within half a second together with its like, and
folded into the counters of repository, manifest and tag by a periodic run, which also counts it for
its day, tag and family of clients.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from core.artifacts.models import PullRecord
from core.artifacts.types import StoredManifest
from core.audit.buffer import BUFFER, Channel, keep_buffered
from core.audit.types import AuditRecord
from core.common import clock
from core.common.user_agents import client_family
from core.database import raw
from core.database.copying import copy_rows
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.system_settings import queries as system_settings

FOLD_LIMIT = 5_000
"""How many records one transaction folds."""

USER_AGENT_CHARACTERS = 128
"""How much of the User-Agent header is kept until then; its first word is what counts."""

# One fold at a time, and its locks in the order of all other writers (see
# ``core.artifacts.services``): repositories, manifests, tags by name, repositories again. Pushes
# hold several manifests and tags at once, so these are locked one by one before the updates.
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('core.artifacts.pulls', 0))"

_TAKE = """
DELETE FROM artifacts_pullrecord
 WHERE id IN (SELECT id FROM artifacts_pullrecord WHERE pulled_at <= %s ORDER BY id LIMIT %s)
RETURNING repository_id, manifest_id, tag_name, pulled_at, user_agent, pulls
"""

_SHARE_REPOSITORIES = """
SELECT id FROM artifacts_repository WHERE id = ANY(%s::bigint[]) ORDER BY id FOR KEY SHARE
"""

_LOCK_MANIFESTS = """
SELECT id FROM artifacts_manifest WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE
"""

_FOLD_MANIFESTS = """
UPDATE artifacts_manifest AS manifest
   SET last_pulled_at = greatest(manifest.last_pulled_at, latest.at)
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS latest(id, at)
 WHERE manifest.id = latest.id
"""

_LOCK_TAGS = """
SELECT tag.id, latest.at
  FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS latest(repository_id, name, at)
  JOIN artifacts_tag tag
    ON tag.repository_id = latest.repository_id AND tag.name = latest.name
   AND tag.ended_at IS NULL
 ORDER BY tag.repository_id, tag.name FOR NO KEY UPDATE OF tag
"""

_FOLD_TAGS = """
UPDATE artifacts_tag AS tag
   SET last_pulled_at = greatest(tag.last_pulled_at, latest.at)
  FROM unnest(%s::bigint[], %s::timestamptz[]) AS latest(id, at)
 WHERE tag.id = latest.id
"""

_FOLD_REPOSITORIES = """
UPDATE artifacts_repository AS repository
   SET pull_count = repository.pull_count + counted.pulls
  FROM unnest(%s::bigint[], %s::bigint[]) AS counted(id, pulls)
 WHERE repository.id = counted.id
"""

# The repositories that are still there are held by the transaction.
_COUNT_USAGE = """
INSERT INTO artifacts_pullusage AS usage
       (project_id, repository_id, day, tag_name, client, pulls)
SELECT repository.project_id, repository.id, counted.day, counted.tag_name, counted.client,
       counted.pulls
  FROM unnest(%s::bigint[], %s::date[], %s::text[], %s::text[], %s::bigint[])
       AS counted(repository_id, day, tag_name, client, pulls)
  JOIN artifacts_repository repository ON repository.id = counted.repository_id
ON CONFLICT (repository_id, day, tag_name, client) DO UPDATE
   SET pulls = usage.pulls + excluded.pulls
"""

_SET_USAGE_ASIDE = """
UPDATE artifacts_pullusage SET repository_id = NULL, trash_entry_id = %s WHERE repository_id = %s
"""

_TAKE_USAGE_BACK = """
UPDATE artifacts_pullusage SET repository_id = %s, trash_entry_id = NULL WHERE trash_entry_id = %s
"""

_MOVE_USAGE = "UPDATE artifacts_pullusage SET project_id = %s WHERE repository_id = %s"

# Without a repository's lock: whoever moves its usage now need not wait, and the next run is soon.
_REMOVE_USAGE = """
DELETE FROM artifacts_pullusage
 WHERE id IN (SELECT id FROM artifacts_pullusage WHERE day < %s ORDER BY day, id LIMIT %s
                 FOR UPDATE SKIP LOCKED)
"""


@dataclass(slots=True)
class Pull:
    """Pulls of a manifest on one day (in UTC) with one User-Agent, which are one row.

    ``tag_name`` is empty for pulls by digest. ``pulled_at`` is the latest of them, and ``pulls``
    how many they are.
    """

    repository_id: int
    manifest_id: int
    tag_name: str
    user_agent: str
    pulled_at: datetime
    pulls: int = 1

    def add_to(self, earlier: "Pull") -> None:
        """Let an earlier one stand for this one too."""
        earlier.pulls += self.pulls
        earlier.pulled_at = self.pulled_at


def _store(pulls: Sequence[Pull]) -> None:
    if system_settings.current().pull_count_update_disable:
        return
    copy_rows(
        PullRecord._meta.db_table,
        ("repository_id", "manifest_id", "tag_name", "user_agent", "pulled_at", "pulls"),
        [
            (
                pull.repository_id,
                pull.manifest_id,
                pull.tag_name,
                pull.user_agent,
                pull.pulled_at,
                pull.pulls,
            )
            for pull in pulls
        ],
    )


_PULLS: Channel[Pull] = BUFFER.channel("pulls", _store)


def record_pull(
    *,
    actor: Actor,
    project_id: int,
    repository_id: int,
    repository_name: str,
    manifest: StoredManifest,
    tag_name: str,
) -> None:
    """Note that the actor pulled a manifest, for the audit log and for the counters.

    ``tag_name`` is empty when it was pulled by digest. Does no I/O; whoever calls it flushes the
    buffer before answering when it is full.
    """
    reference = f":{tag_name}" if tag_name else f"@{manifest.digest}"
    keep_buffered(
        AuditRecord(
            action="artifact.pulled",
            actor=actor,
            target_kind="artifact",
            target_label=f"{repository_name}{reference}",
            target_id=str(manifest.id),
            project_id=project_id,
            project_name=repository_name.partition("/")[0],
            detail={"digest": str(manifest.digest)},
        )
    )
    # COPY takes no NUL, which no header of HTTP can have, but an actor made otherwise might.
    user_agent = actor.origin.user_agent[:USER_AGENT_CHARACTERS].replace("\0", "")
    pull = Pull(repository_id, manifest.id, tag_name, user_agent, clock.now())
    BUFFER.fold(
        _PULLS,
        (repository_id, manifest.id, tag_name, user_agent, pull.pulled_at.date()),
        make=lambda: pull,
        repeat=pull.add_to,
    )


@durable_write
def fold_pull_records(now: datetime, limit: int = FOLD_LIMIT) -> int:
    """Move up to ``limit`` records into the counters; return how many pulls, 0 when none wait.

    A pull is counted exactly once: its record goes in the transaction that counts it.
    """
    raw.fetch_one(_ALONE)
    records = raw.fetch_all(_TAKE, (now, limit))
    if not records:
        return 0
    counts: dict[int, int] = {}
    manifests: dict[int, datetime] = {}
    tags: dict[tuple[int, str], datetime] = {}
    usage: Counter[tuple[int, date, str, str]] = Counter()
    for repository_id, manifest_id, tag_name, pulled_at, user_agent, pulls in records:
        day = pulled_at.astimezone(UTC).date()
        usage[repository_id, day, tag_name, client_family(user_agent)] += pulls
        counts[repository_id] = counts.get(repository_id, 0) + pulls
        manifests[manifest_id] = max(pulled_at, manifests.get(manifest_id, pulled_at))
        if tag_name:
            tag = (repository_id, tag_name)
            tags[tag] = max(pulled_at, tags.get(tag, pulled_at))
    raw.fetch_all(_SHARE_REPOSITORIES, (sorted(counts),))
    raw.fetch_all(_LOCK_MANIFESTS, (list(manifests),))
    raw.execute(_FOLD_MANIFESTS, (list(manifests), list(manifests.values())))
    tag_keys = ([key[0] for key in tags], [key[1] for key in tags], list(tags.values()))
    locked = raw.fetch_all(_LOCK_TAGS, tag_keys)
    raw.execute(_FOLD_TAGS, ([row[0] for row in locked], [row[1] for row in locked]))
    _count_usage(usage)
    raw.execute(_FOLD_REPOSITORIES, (list(counts), list(counts.values())))
    return sum(counts.values())


def _count_usage(usage: Counter[tuple[int, date, str, str]]) -> None:
    keys = sorted(usage)
    columns = [[key[place] for key in keys] for place in range(4)]
    raw.execute(_COUNT_USAGE, (*columns, [usage[key] for key in keys]))


def set_usage_aside_locked(repository_id: int, entry_id: int | None) -> None:
    """Leave the usage of a reserved repository to its project, before the repository goes.

    It waits for the restoration of the entry of the trash; None when there is none.
    """
    raw.execute(_SET_USAGE_ASIDE, (entry_id, repository_id))


def take_usage_back_locked(repository_id: int, entry_id: int) -> None:
    """Give a new repository the usage that waits for the entry of which it is restored."""
    raw.execute(_TAKE_USAGE_BACK, (repository_id, entry_id))


def move_usage_locked(repository_id: int, project_id: int) -> None:
    """Let the usage of a reserved repository follow it into a project."""
    raw.execute(_MOVE_USAGE, (project_id, repository_id))


def remove_old_usage(before: date, limit: int) -> int:
    """Remove up to ``limit`` rows of usage of the days before that one; return how many."""
    return raw.execute(_REMOVE_USAGE, (before, limit))
