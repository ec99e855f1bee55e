"""Putting what is deleted into the trash, in the transaction that deletes it.

The trash has tables of its own: what serves clients, counts and lists never sees them. A row of
``TrashedBlob`` is what keeps a blob, by its foreign key, whoever wants to remove it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.conf import settings

from core.artifacts.models import Repository
from core.artifacts.pulls import set_usage_aside_locked
from core.artifacts.services.history import LiveTag
from core.database import raw
from core.oci.digest import Digest
from core.rbac.types import Actor

# No row when the project keeps no trash.
_ENTER = """
INSERT INTO artifacts_trashentry
       (project_id, kind, path, tag, digest, manifest_count, total_bytes, deleted_at, deleted_by,
        kept_until, description, pull_count, created_at)
SELECT p.id, %s, %s, %s, %s, 0, 0, %s::timestamptz, %s,
       %s::timestamptz + make_interval(days => w.days), %s, %s, %s
  FROM projects_project p,
       LATERAL (SELECT coalesce((p.metadata ->> 'trash_days')::int, %s) AS days) AS w
 WHERE p.id = %s AND w.days > 0
RETURNING id
"""

# In the order of ids, in which a repository's indexes follow their children.
_KEEP_MANIFESTS = """
INSERT INTO artifacts_trashedmanifest
       (entry_id, digest, media_type, payload, pushed_at, pushed_by, last_pulled_at)
SELECT %s, digest, media_type, payload, pushed_at, pushed_by, last_pulled_at
  FROM artifacts_manifest WHERE id = ANY(%s::bigint[]) ORDER BY id
"""

_KEEP_BLOBS = """
INSERT INTO artifacts_trashedblob (entry_id, blob_id)
SELECT DISTINCT %s::bigint, blob_id FROM artifacts_manifestreference
 WHERE parent_id = ANY(%s::bigint[]) AND blob_id IS NOT NULL
 ORDER BY blob_id
"""

_KEEP_LABELS = """
INSERT INTO artifacts_trashedlabel (entry_id, digest, label_id, name)
SELECT %s, m.digest, l.id, l.name
  FROM artifacts_manifestlabel held
  JOIN artifacts_manifest m ON m.id = held.manifest_id
  JOIN labels_label l ON l.id = held.label_id
 WHERE m.id = ANY(%s::bigint[]) ORDER BY m.id, l.id
"""

_KEEP_TAGS = """
INSERT INTO artifacts_trashedtag
       (entry_id, name, digest, started_at, started_by, ended_at, ended_by, last_pulled_at,
        expires_at, awaits_life)
SELECT %s, name, digest, started_at, started_by, ended_at, ended_by, last_pulled_at,
       expires_at, awaits_life
  FROM artifacts_tag
"""

_KEEP_LIVE_TAGS = f"{_KEEP_TAGS} WHERE id = ANY(%s::bigint[]) ORDER BY id"
_KEEP_TAGS_OF_REPOSITORY = f"{_KEEP_TAGS} WHERE repository_id = %s ORDER BY id"

# They lead nowhere until it is restored.
_KEEP_REDIRECTS = """
UPDATE artifacts_redirect SET repository_id = NULL, trash_entry_id = %s WHERE repository_id = %s
"""

_MEASURE = """
UPDATE artifacts_trashentry AS entry
   SET manifest_count = kept.manifests, total_bytes = kept.bytes + held.bytes
  FROM (SELECT count(*) AS manifests, coalesce(sum(octet_length(payload)), 0) AS bytes
          FROM artifacts_trashedmanifest WHERE entry_id = %s) AS kept,
       (SELECT coalesce(sum(b.size_bytes), 0) AS bytes
          FROM artifacts_trashedblob k
         CROSS JOIN LATERAL (SELECT size_bytes FROM blobs_blob WHERE id = k.blob_id LIMIT 1) b
         WHERE k.entry_id = %s) AS held
 WHERE entry.id = %s
"""

_LET_GO = (
    "DELETE FROM artifacts_trashedtag WHERE entry_id = ANY(%s::bigint[])",
    "DELETE FROM artifacts_trashedblob WHERE entry_id = ANY(%s::bigint[])",
    "DELETE FROM artifacts_trashedmanifest WHERE entry_id = ANY(%s::bigint[])",
    "DELETE FROM artifacts_trashentry WHERE id = ANY(%s::bigint[])",
)


def discard_tag_locked(
    name: str, tag: LiveTag, *, project_id: int, actor: Actor, now: datetime
) -> None:
    """Keep a tag of the repository ``name`` that is about to be ended."""
    entry_id = _enter("tag", name, project_id, actor, now, tag=tag.name, digest=tag.digest)
    if entry_id is not None:
        raw.execute(_KEEP_LIVE_TAGS, (entry_id, [tag.id]))


def discard_manifests_locked(
    name: str,
    manifest_ids: Sequence[int],
    digest: Digest,
    tags: Sequence[LiveTag],
    *,
    project_id: int,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep manifests of the repository ``name`` in one entry, before they go.

    It is the entry of the one with the ``digest``, with which the others go. Live tags and labels
    are kept as well.
    """
    entry_id = _enter("manifest", name, project_id, actor, now, digest=digest)
    if entry_id is not None:
        raw.execute(_KEEP_LIVE_TAGS, (entry_id, [tag.id for tag in tags]))
        _keep(entry_id, list(manifest_ids))


def discard_repository_locked(repository: Repository, *, actor: Actor, now: datetime) -> None:
    """Keep all manifests of a repository, their labels, the history of its tags, its former names.

    To be called before they go. How often it was pulled stays counted for the project in any case,
    but for pulls that were not counted yet.
    """
    entry_id = _enter(
        "repository", repository.name, repository.project_id, actor, now, described=repository
    )
    if entry_id is not None:
        raw.execute(_KEEP_TAGS_OF_REPOSITORY, (entry_id, repository.pk))
        manifests = raw.fetch_all(
            "SELECT id FROM artifacts_manifest WHERE repository_id = %s", (repository.pk,)
        )
        _keep(entry_id, [row[0] for row in manifests])
        raw.execute(_KEEP_REDIRECTS, (entry_id, repository.pk))
    set_usage_aside_locked(repository.pk, entry_id)


def let_go_locked(entry_ids: Iterable[int]) -> None:
    """Remove locked entries of the trash with all that they keep."""
    ids = list(entry_ids)
    for statement in _LET_GO:
        raw.execute(statement, (ids,))


def _enter(
    kind: str,
    name: str,
    project_id: int,
    actor: Actor,
    now: datetime,
    *,
    tag: str = "",
    digest: Digest | None = None,
    described: Repository | None = None,
) -> int | None:
    """Return the id of a new entry, None where nothing is kept."""
    # Checked where metadata are written.
    default_days = settings.ROADSTEAD.limits.trash_days
    row = raw.fetch_one(
        _ENTER,
        (
            kind,
            name.partition("/")[2],
            tag,
            digest.to_bytes() if digest else None,
            now,
            actor.label,
            now,
            described.description if described else "",
            described.pull_count if described else 0,
            described.created_at if described else None,
            default_days,
            project_id,
        ),
    )
    return None if row is None else int(row[0])


def _keep(entry_id: int, manifest_ids: list[int]) -> None:
    raw.execute(_KEEP_MANIFESTS, (entry_id, manifest_ids))
    raw.execute(_KEEP_BLOBS, (entry_id, manifest_ids))
    raw.execute(_KEEP_LABELS, (entry_id, manifest_ids))
    raw.execute(_MEASURE, (entry_id, entry_id, entry_id))
