"""What projects hold, by the rows that are kept of it."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Final

from core.artifacts.models import Repository
from core.database import raw
from core.oci.digest import Digest
from core.quotas.rules import ensure_room as ensure_room_for
from core.usage.models import StorageCount
from core.usage.types import (
    CountedRepository,
    CountedStorage,
    ProjectSize,
    RepositorySize,
    StorageFigures,
)

MAXIMUM_TOP: Final = 100
_FIGURES: Final = tuple(field.name for field in fields(StorageFigures))

# Garbage: blobs of a project that no manifest of any of its repositories names.
_PROJECT_FIGURES: Final = """
WITH content AS (
     SELECT count(*) FILTER (WHERE NOT is_manifest) AS blobs,
            count(*) FILTER (WHERE is_manifest) AS manifests,
            coalesce(sum(size_bytes * holders), 0)::bigint AS logical,
            coalesce(sum(size_bytes), 0)::bigint AS deduplicated,
            coalesce(sum(holders), 0)::bigint AS held
       FROM usage_projectcontent WHERE project_id = %(project)s),
     shared AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM usage_projectcontent own
      WHERE project_id = %(project)s AND EXISTS (
            SELECT FROM usage_projectcontent other
             WHERE other.digest = own.digest AND other.is_manifest = own.is_manifest
               AND other.project_id <> %(project)s)),
     garbage AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM (SELECT DISTINCT l.blob_id
               FROM artifacts_repository r
               JOIN artifacts_repositoryblob l ON l.repository_id = r.id
              WHERE r.project_id = %(project)s) AS held
       JOIN blobs_blob b ON b.id = held.blob_id
       LEFT JOIN (SELECT DISTINCT f.blob_id
                    FROM artifacts_repository r
                    JOIN artifacts_manifest m ON m.repository_id = r.id
                    JOIN artifacts_manifestreference f ON f.parent_id = m.id
                   WHERE r.project_id = %(project)s AND f.blob_id IS NOT NULL) AS named
              ON named.blob_id = held.blob_id
      WHERE named.blob_id IS NULL)
SELECT logical, deduplicated, shared.bytes, garbage.bytes,
       (SELECT count(*) FROM artifacts_repository WHERE project_id = %(project)s),
       blobs, manifests, held
  FROM content, shared, garbage
"""

_SHARED_WITH: Final = """
SELECT coalesce(sum(size_bytes), 0)::bigint
  FROM usage_projectcontent own
 WHERE project_id = %(project)s AND EXISTS (
       SELECT FROM usage_projectcontent other
        WHERE other.digest = own.digest AND other.is_manifest = own.is_manifest
          AND other.project_id = ANY(%(others)s::bigint[]))
"""

# The bytes of a blob are stored once for the whole registry, manifests for each repository.
_REGISTRY_FIGURES: Final = """
WITH content AS (
     SELECT coalesce(sum(bytes), 0)::bigint AS logical,
            coalesce(sum(size_bytes), 0)::bigint AS deduplicated,
            coalesce(sum(size_bytes) FILTER (WHERE projects > 1), 0)::bigint AS shared,
            count(*) FILTER (WHERE NOT is_manifest) AS blobs,
            count(*) FILTER (WHERE is_manifest) AS manifests,
            coalesce(sum(holders), 0)::bigint AS held
       FROM (SELECT is_manifest, max(size_bytes) AS size_bytes,
                    sum(size_bytes * holders) AS bytes, count(*) AS projects,
                    sum(holders) AS holders
               FROM usage_projectcontent GROUP BY digest, is_manifest) AS held),
     garbage AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM blobs_blob b
      WHERE NOT EXISTS (SELECT FROM artifacts_manifestreference f WHERE f.blob_id = b.id))
SELECT logical, deduplicated, shared, garbage.bytes,
       (SELECT count(*) FROM artifacts_repository), blobs, manifests, held
  FROM content, garbage
"""

# Each row is held at least once, so more of them than are looked for need not be read.
_HELD_UP_TO: Final = """
SELECT coalesce(sum(holders), 0)::bigint
  FROM (SELECT holders FROM usage_projectcontent {of_project} LIMIT %(most)s) AS contents
"""
# In the order of an index: the rows of a project may all stand at the end of the table.
_HELD_BY_PROJECT: Final = _HELD_UP_TO.format(
    of_project="WHERE project_id = %(project)s ORDER BY digest, is_manifest"
)
_HELD_BY_REGISTRY: Final = _HELD_UP_TO.format(of_project="")

_TOP_REPOSITORIES: Final = """
SELECT r.id, coalesce(linked.bytes, 0) + coalesce(stored.bytes, 0),
       coalesce(linked.blobs, 0), coalesce(stored.manifests, 0)
  FROM artifacts_repository r
  LEFT JOIN (SELECT l.repository_id, sum(b.size_bytes)::bigint AS bytes, count(*) AS blobs
               FROM artifacts_repositoryblob l JOIN blobs_blob b ON b.id = l.blob_id
               {of_project_link} GROUP BY l.repository_id) AS linked
         ON linked.repository_id = r.id
  LEFT JOIN (SELECT m.repository_id, sum(m.size_bytes)::bigint AS bytes, count(*) AS manifests
               FROM artifacts_manifest m
               {of_project_manifest} GROUP BY m.repository_id) AS stored
         ON stored.repository_id = r.id
 {of_project} ORDER BY 2 DESC, r.name LIMIT %(top)s
"""
_OWN: Final = "(SELECT id FROM artifacts_repository WHERE project_id = %(project)s)"
_TOP_OF_PROJECT: Final = _TOP_REPOSITORIES.format(
    of_project="WHERE r.project_id = %(project)s",
    of_project_link=f"WHERE l.repository_id IN {_OWN}",
    of_project_manifest=f"WHERE m.repository_id IN {_OWN}",
)
_TOP_OF_REGISTRY: Final = _TOP_REPOSITORIES.format(
    of_project="", of_project_link="", of_project_manifest=""
)

_TOP_PROJECTS: Final = """
SELECT p.id, p.name, q.used_bytes + coalesce(c.bytes, 0), q.hard_bytes
  FROM projects_project p
  JOIN quotas_quota q ON q.project_id = p.id
  LEFT JOIN (SELECT project_id, sum(bytes)::bigint AS bytes
               FROM quotas_usagechange GROUP BY project_id) AS c ON c.project_id = p.id
 ORDER BY 3 DESC, p.name LIMIT %(top)s
"""
_ROOM: Final = """
SELECT q.hard_bytes,
       q.used_bytes + coalesce((SELECT sum(bytes) FROM quotas_usagechange c
                                 WHERE c.project_id = q.project_id), 0)::bigint,
       EXISTS (SELECT FROM usage_projectcontent held
                WHERE held.project_id = q.project_id AND held.digest = %(digest)s
                  AND NOT held.is_manifest)
  FROM quotas_quota q WHERE q.project_id = %(project)s
"""


def ensure_room(project_id: int, size_bytes: int, digest: Digest | None) -> None:
    """Refuse a blob before its bytes come, where it is certain that it will not fit.

    ``digest`` is None while its client has not told it. Raises ``QuotaExceeded``.
    """
    known = None if digest is None else digest.to_bytes()
    for hard, used, is_known in raw.fetch_all(_ROOM, {"project": project_id, "digest": known}):
        ensure_room_for(
            size_bytes, used=used, hard=hard, is_known=is_known, may_be_known=digest is None
        )


def kept_count(project_id: int | None) -> CountedStorage | None:
    """Return what was last kept of a project, or of the registry (None); None if nothing was."""
    kept = StorageCount.objects.filter(project=project_id)
    row = kept.values_list(*_FIGURES, "top_repositories").first()
    if row is None:
        return None
    *figures, top = row
    return CountedStorage(
        StorageFigures(*figures), tuple(CountedRepository(**each) for each in top)
    )


def count_storage(project_id: int | None, at: datetime) -> CountedStorage:
    """Count what a project, or the registry, holds; ``at`` is the current time.

    The figures are those for whoever sees all projects: what a project shares is told of hidden
    ones as well, see ``shared_with``. Its cost grows with the contents.
    """
    parameters = {"project": project_id, "top": MAXIMUM_TOP}
    of_registry = project_id is None
    (figures,) = raw.fetch_all(_REGISTRY_FIGURES if of_registry else _PROJECT_FIGURES, parameters)
    top = raw.fetch_all(_TOP_OF_REGISTRY if of_registry else _TOP_OF_PROJECT, parameters)
    return CountedStorage(
        StorageFigures(*(*figures, at)),
        tuple(CountedRepository(*row) for row in top),
    )


def contents_up_to(project_id: int | None, most: int) -> int:
    """Return how many contents a project, or the registry, holds: exactly, or at least ``most``.

    Each counts for every repository that has it.
    """
    statement = _HELD_BY_REGISTRY if project_id is None else _HELD_BY_PROJECT
    ((held,),) = raw.fetch_all(statement, {"project": project_id, "most": most})
    return int(held)


def is_read_only() -> bool:
    """Tell whether the database takes no writes, as a standby before its promotion."""
    return raw.fetch_all("SELECT current_setting('transaction_read_only')") == [("on",)]


def shared_with(project_id: int, visible: Sequence[int]) -> int:
    """Return the bytes that a project holds and a project in ``visible`` has too, as of now.

    Nobody should learn what a project holds that is hidden from them, or was.
    """
    others = [other for other in visible if other != project_id]
    ((shared,),) = raw.fetch_all(_SHARED_WITH, {"project": project_id, "others": others})
    return int(shared)


def top_repositories(
    counted: CountedStorage, project_id: int | None, top: int
) -> list[RepositorySize]:
    """Return the largest repositories that were counted and are still there, the largest first.

    They have the names that they have now; those that have left the project are not named.
    """
    repositories = Repository.objects.filter(pk__in=[row.id for row in counted.top_repositories])
    if project_id is not None:
        repositories = repositories.filter(project=project_id)
    names = dict(repositories.values_list("pk", "name"))
    there = [row for row in counted.top_repositories if row.id in names]
    return [
        RepositorySize(names[row.id], row.bytes, row.blobs, row.manifests) for row in there[:top]
    ]


def top_projects(top: int | None) -> list[ProjectSize]:
    """Return the projects that hold most, None for all; the largest first."""
    return [ProjectSize(*row) for row in raw.fetch_all(_TOP_PROJECTS, {"top": top})]
