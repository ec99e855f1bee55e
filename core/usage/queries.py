"""What projects hold, by the rows that are kept of it. Each function is one statement."""

from collections.abc import Sequence
from typing import Final

from core.database import raw
from core.oci.digest import Digest
from core.quotas.rules import ensure_room as ensure_room_for
from core.usage.types import ProjectSize, RepositorySize, StorageFigures

MAXIMUM_TOP: Final = 100

# Garbage: blobs of a project that no manifest of any of its repositories names.
_PROJECT_FIGURES: Final = """
WITH content AS (
     SELECT count(*) FILTER (WHERE NOT is_manifest) AS blobs,
            count(*) FILTER (WHERE is_manifest) AS manifests,
            coalesce(sum(size_bytes * holders), 0)::bigint AS logical,
            coalesce(sum(size_bytes), 0)::bigint AS deduplicated
       FROM usage_projectcontent WHERE project_id = %(project)s),
     shared AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM usage_projectcontent own
      WHERE project_id = %(project)s AND EXISTS (
            SELECT FROM usage_projectcontent other
             WHERE other.digest = own.digest AND other.is_manifest = own.is_manifest
               AND other.project_id <> %(project)s
               AND (%(sees_all)s OR other.project_id = ANY(%(visible)s::bigint[])))),
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
       blobs, manifests
  FROM content, shared, garbage
"""

# The bytes of a blob are stored once for the whole registry, manifests for each repository.
_REGISTRY_FIGURES: Final = """
WITH content AS (
     SELECT coalesce(sum(bytes), 0)::bigint AS logical,
            coalesce(sum(size_bytes), 0)::bigint AS deduplicated,
            coalesce(sum(size_bytes) FILTER (WHERE projects > 1), 0)::bigint AS shared,
            count(*) FILTER (WHERE NOT is_manifest) AS blobs,
            count(*) FILTER (WHERE is_manifest) AS manifests
       FROM (SELECT is_manifest, max(size_bytes) AS size_bytes,
                    sum(size_bytes * holders) AS bytes, count(*) AS projects
               FROM usage_projectcontent GROUP BY digest, is_manifest) AS held),
     garbage AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM blobs_blob b
      WHERE NOT EXISTS (SELECT FROM artifacts_manifestreference f WHERE f.blob_id = b.id))
SELECT logical, deduplicated, shared, garbage.bytes,
       (SELECT count(*) FROM artifacts_repository), blobs, manifests
  FROM content, garbage
"""

_TOP_REPOSITORIES: Final = """
SELECT r.name, coalesce(linked.bytes, 0) + coalesce(stored.bytes, 0),
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


def project_figures(project_id: int, *, visible: Sequence[int] | None) -> StorageFigures:
    """Return what a project holds.

    What it shares is told of the projects in ``visible`` only, None stands for all: nobody
    should learn what a project holds that is hidden from them.
    """
    parameters = {
        "project": project_id,
        "sees_all": visible is None,
        "visible": list(visible or ()),
    }
    return _figures(raw.fetch_all(_PROJECT_FIGURES, parameters))


def registry_figures() -> StorageFigures:
    """Return what the registry holds; shared is what more than one project has."""
    return _figures(raw.fetch_all(_REGISTRY_FIGURES))


def top_repositories(project_id: int | None, top: int) -> list[RepositorySize]:
    """Return the largest repositories of a project, or of all projects; the largest first."""
    statement = _TOP_OF_REGISTRY if project_id is None else _TOP_OF_PROJECT
    rows = raw.fetch_all(statement, {"project": project_id, "top": top})
    return [RepositorySize(*row) for row in rows]


def top_projects(top: int | None) -> list[ProjectSize]:
    """Return the projects that hold most, None for all; the largest first."""
    return [ProjectSize(*row) for row in raw.fetch_all(_TOP_PROJECTS, {"top": top})]


def _figures(rows: list[raw.Row]) -> StorageFigures:
    (row,) = rows
    return StorageFigures(*row)
