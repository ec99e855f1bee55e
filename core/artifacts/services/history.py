"""The rows of tags: the live one is ended and followed by another, never changed in place."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.artifacts.types import TagEnd
from core.database.statements import Statement
from core.oci.digest import Digest

# The subquery fixes the order in which the locks are taken.
_LOCK_NAMES = Statement(
    "tags_lock",
    """
SELECT pg_advisory_xact_lock(hashtextextended(key, 0))
  FROM (SELECT $1::text || ':' || name AS key
          FROM unnest($2::text[]) WITH ORDINALITY AS named(name, position)
         ORDER BY position OFFSET 0) AS ordered
""",
)

_LIVE_BY_NAME = Statement(
    "tags_live_by_name",
    """
SELECT t.id, t.name, t.digest
  FROM (SELECT DISTINCT unnest($2::text[]) COLLATE "C" AS name ORDER BY name) wanted
 CROSS JOIN LATERAL
       (SELECT id, name, digest FROM artifacts_tag
         WHERE repository_id = $1 AND name = wanted.name AND ended_at IS NULL
         LIMIT 1 FOR UPDATE) t
""",
)

# Few are wanted of many: each is looked up by itself, which the offset keeps from being joined.
_LIVE_OF_MANIFESTS = Statement(
    "tags_live_of_manifests",
    """
SELECT id, name, digest FROM artifacts_tag
 WHERE id = ANY(ARRAY(
       SELECT t.id
         FROM unnest($2::bigint[]) AS wanted(id)
        CROSS JOIN LATERAL
              (SELECT id FROM artifacts_tag
                WHERE repository_id = $1 AND manifest_id = wanted.id AND ended_at IS NULL
               OFFSET 0) t
        UNION
       SELECT t.id
         FROM unnest($3::text[]) AS wanted(name)
        CROSS JOIN LATERAL
              (SELECT id FROM artifacts_tag
                WHERE repository_id = $1 AND name = wanted.name AND ended_at IS NULL LIMIT 1) t))
 ORDER BY name FOR UPDATE
""",
)

_END = Statement(
    "tags_end",
    """
UPDATE artifacts_tag
   SET ended_at = greatest(started_at, $1), ended_by = $2, manifest_id = NULL
 WHERE id = ANY($3::bigint[])
""",
)

_BEGIN = Statement(
    "tags_begin",
    """
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by, expires_at,
        awaits_life)
SELECT $1::bigint, name, $2::bigint, $3::bytea, $4::timestamptz, $5, '', $7::timestamptz, $8
  FROM unnest($6::text[]) AS name
""",
)


_NEVER = TagEnd()


class LiveTag(NamedTuple):
    """A tag's live row, locked by the current transaction."""

    id: int
    name: str
    digest: Digest


def lock_tags(repository_id: int, names: Sequence[str]) -> dict[str, LiveTag]:
    """Reserve the names, sorted, until the commit; return those that are live.

    The advisory lock covers names without a row as well, so writers of one name pass one by
    one and the ids of its history stand in the order of the commits.
    """
    if not names:
        return {}
    ordered = sorted(names)
    _LOCK_NAMES.execute_later(str(repository_id), ordered)
    return {tag.name: tag for tag in _live(_LIVE_BY_NAME, repository_id, ordered)}


def lock_tags_of_manifests(
    repository_id: int, manifest_ids: Sequence[int], names: Sequence[str]
) -> list[LiveTag]:
    """Return the live tags of manifests, and those with the names, whatever these name.

    The caller holds off every other write into the repository.
    """
    return _live(_LIVE_OF_MANIFESTS, repository_id, list(manifest_ids), list(names))


def end_tags(tags: Iterable[LiveTag], *, ended_by: str, now: datetime) -> None:
    """End locked live rows; they keep the digest and let go of the manifest."""
    ids = [tag.id for tag in tags]
    if ids:
        _END.execute_later(now, ended_by, ids)


def begin_tags(
    names: Sequence[str],
    *,
    repository_id: int,
    manifest_id: int,
    digest: Digest,
    started_by: str,
    now: datetime,
    end: TagEnd = _NEVER,
) -> None:
    """Let locked names without a live row point at the manifest, for ever or to an end."""
    if names:
        where = (repository_id, manifest_id, digest.to_bytes())
        _BEGIN.execute_later(*where, now, started_by, list(names), *end)


def _live(statement: Statement, *parameters: object) -> list[LiveTag]:
    return [
        LiveTag(id=row[0], name=row[1], digest=Digest.from_bytes(bytes(row[2])))
        for row in statement.fetch_all(*parameters)
    ]
