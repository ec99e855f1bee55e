"""Counting pulls without a write in their way.

A pull is buffered in memory, stored as a row within half a second, and folded into the
counters of repository, manifest and tag by a periodic run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.artifacts.models import PullRecord
from core.artifacts.types import StoredManifest
from core.audit.buffer import BUFFER, Channel, record_buffered
from core.audit.types import AuditRecord
from core.common import clock
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor

FOLD_LIMIT = 5_000
"""How many records one transaction folds."""

# Other writers lock repositories before manifests before tags, each by key; so does this,
# with the weakest locks that do.
_TAKE = """
DELETE FROM artifacts_pullrecord
 WHERE id IN (SELECT id FROM artifacts_pullrecord
               WHERE pulled_at <= %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING repository_id, manifest_id, tag_name, pulled_at
"""

_SHARE_REPOSITORIES = """
SELECT id FROM artifacts_repository WHERE id = ANY(%s::bigint[]) ORDER BY id FOR KEY SHARE
"""

_FOLD_MANIFESTS = """
WITH pulled AS (
    SELECT m.id, latest.at
      FROM unnest(%s::bigint[], %s::timestamptz[]) AS latest(id, at)
      JOIN artifacts_manifest m ON m.id = latest.id
     ORDER BY m.id FOR NO KEY UPDATE OF m)
UPDATE artifacts_manifest AS manifest
   SET last_pulled_at = greatest(manifest.last_pulled_at, pulled.at)
  FROM pulled WHERE manifest.id = pulled.id
"""

_FOLD_TAGS = """
WITH pulled AS (
    SELECT t.id, latest.at
      FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS latest(repository_id, name, at)
      JOIN artifacts_tag t
        ON t.repository_id = latest.repository_id AND t.name = latest.name
       AND t.ended_at IS NULL
     ORDER BY t.repository_id, t.name FOR NO KEY UPDATE OF t)
UPDATE artifacts_tag AS tag
   SET last_pulled_at = greatest(tag.last_pulled_at, pulled.at)
  FROM pulled WHERE tag.id = pulled.id
"""

_FOLD_REPOSITORIES = """
WITH pulled AS (
    SELECT r.id, counted.pulls
      FROM unnest(%s::bigint[], %s::bigint[]) AS counted(id, pulls)
      JOIN artifacts_repository r ON r.id = counted.id
     ORDER BY r.id FOR NO KEY UPDATE OF r)
UPDATE artifacts_repository AS repository
   SET pull_count = repository.pull_count + pulled.pulls
  FROM pulled WHERE repository.id = pulled.id
"""


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull of a manifest; ``tag_name`` is empty for a pull by digest."""

    repository_id: int
    manifest_id: int
    tag_name: str
    pulled_at: datetime


def _store(pulls: Sequence[Pull]) -> None:
    PullRecord.objects.bulk_create(
        PullRecord(
            repository_id=pull.repository_id,
            manifest_id=pull.manifest_id,
            tag_name=pull.tag_name,
            pulled_at=pull.pulled_at,
        )
        for pull in pulls
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

    ``tag_name`` is empty when it was pulled by digest.
    """
    reference = f":{tag_name}" if tag_name else f"@{manifest.digest}"
    record_buffered(
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
    BUFFER.add(_PULLS, Pull(repository_id, manifest.id, tag_name, clock.now()))


@durable_write
def fold_pull_records(now: datetime, limit: int = FOLD_LIMIT) -> int:
    """Move up to ``limit`` stored pulls into the counters; return how many, 0 when none wait.

    A pull is counted exactly once: its record goes in the transaction that counts it.
    """
    records = raw.fetch_all(_TAKE, (now, limit))
    if not records:
        return 0
    counts: dict[int, int] = {}
    manifests: dict[int, datetime] = {}
    tags: dict[tuple[int, str], datetime] = {}
    for repository_id, manifest_id, tag_name, pulled_at in records:
        counts[repository_id] = counts.get(repository_id, 0) + 1
        manifests[manifest_id] = max(pulled_at, manifests.get(manifest_id, pulled_at))
        if tag_name:
            tag = (repository_id, tag_name)
            tags[tag] = max(pulled_at, tags.get(tag, pulled_at))
    raw.fetch_all(_SHARE_REPOSITORIES, (sorted(counts),))
    raw.execute(_FOLD_MANIFESTS, (list(manifests), list(manifests.values())))
    raw.execute(
        _FOLD_TAGS,
        ([key[0] for key in tags], [key[1] for key in tags], list(tags.values())),
    )
    raw.execute(_FOLD_REPOSITORIES, (list(counts), list(counts.values())))
    return len(records)
