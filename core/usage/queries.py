"""What projects hold, by the rows that are kept of it. Each function is one statement."""

from collections.abc import Sequence
from typing import Final

from core.database import raw
from core.oci.digest import Digest
from core.quotas.rules import ensure_room as ensure_room_for
from core.usage.types import ProjectSize, RepositorySize, StorageFigures

MAXIMUM_TOP: Final = 100

# Whatever is shared is among the candidates; few others are. Garbage: blobs of a project that no
# manifest of any of its repositories names. What no other project has, only its own could name.
_PROJECT_FIGURES: Final = """
WITH logical AS (
     SELECT coalesce(sum(h.bytes), 0)::bigint AS bytes
       FROM artifacts_repository r JOIN usage_holding h ON h.repository_id = r.id
      WHERE r.project_id = %(project)s),
     content AS (
     SELECT coalesce(sum(bytes), 0)::bigint AS bytes, coalesce(sum(blobs), 0)::bigint AS blobs,
            coalesce(sum(manifests), 0)::bigint AS manifests
       FROM usage_holding WHERE project_id = %(project)s),
     candidates AS MATERIALIZED (
     SELECT digest, is_manifest, size_bytes
       FROM usage_projectcontent
      WHERE project_id = %(project)s AND (is_shared OR is_shared IS NULL)
      UNION
     SELECT own.digest, own.is_manifest, own.size_bytes
       FROM usage_projectcontent new JOIN usage_projectcontent own USING (digest, is_manifest)
      WHERE new.is_shared IS NULL AND own.project_id = %(project)s),
     shared AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM candidates own
      WHERE EXISTS (
            SELECT FROM usage_projectcontent other
             WHERE other.digest = own.digest AND other.is_manifest = own.is_manifest
               AND other.project_id <> %(project)s
               AND (%(sees_all)s OR other.project_id = ANY(%(visible)s::bigint[])))),
     unnamed AS (
     SELECT b.id, b.size_bytes
       FROM blobs_blob b
      WHERE NOT EXISTS (SELECT FROM artifacts_manifestreference f WHERE f.blob_id = b.id)
        AND EXISTS (SELECT FROM artifacts_repositoryblob l
                      JOIN artifacts_repository r ON r.id = l.repository_id
                     WHERE l.blob_id = b.id AND r.project_id = %(project)s)
      UNION
     SELECT b.id, b.size_bytes
       FROM candidates c JOIN blobs_blob b ON b.digest = c.digest
      WHERE NOT c.is_manifest AND NOT EXISTS (
            SELECT FROM artifacts_manifestreference f
              JOIN artifacts_manifest m ON m.id = f.parent_id
              JOIN artifacts_repository r ON r.id = m.repository_id
             WHERE f.blob_id = b.id AND r.project_id = %(project)s))
SELECT logical.bytes, content.bytes, shared.bytes,
       (SELECT coalesce(sum(size_bytes), 0)::bigint FROM unnamed),
       (SELECT count(*) FROM artifacts_repository WHERE project_id = %(project)s),
       blobs, manifests
  FROM logical, content, shared
"""

# What several projects have was counted for each. The bytes of a blob are stored once for the whole
# registry, manifests for each repository.
_REGISTRY_FIGURES: Final = """
WITH held AS (
     SELECT coalesce(sum(bytes) FILTER (WHERE project_id IS NULL), 0)::bigint AS logical,
            coalesce(sum(bytes) FILTER (WHERE repository_id IS NULL), 0)::bigint AS bytes,
            coalesce(sum(blobs) FILTER (WHERE repository_id IS NULL), 0)::bigint AS blobs,
            coalesce(sum(manifests) FILTER (WHERE repository_id IS NULL), 0)::bigint AS manifests
       FROM usage_holding),
     candidates AS MATERIALIZED (
     SELECT DISTINCT digest, is_manifest
       FROM usage_projectcontent WHERE is_shared OR is_shared IS NULL),
     several AS (
     SELECT is_manifest, max(size_bytes) AS size_bytes, count(*) - 1 AS others
       FROM candidates JOIN usage_projectcontent USING (digest, is_manifest)
      GROUP BY digest, is_manifest HAVING count(*) > 1),
     repeated AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS shared,
            coalesce(sum(size_bytes * others), 0)::bigint AS bytes,
            coalesce(sum(others) FILTER (WHERE NOT is_manifest), 0)::bigint AS blobs,
            coalesce(sum(others) FILTER (WHERE is_manifest), 0)::bigint AS manifests
       FROM several),
     garbage AS (
     SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes
       FROM blobs_blob b
      WHERE NOT EXISTS (SELECT FROM artifacts_manifestreference f WHERE f.blob_id = b.id))
SELECT logical, held.bytes - repeated.bytes, shared, garbage.bytes,
       (SELECT count(*) FROM artifacts_repository),
       held.blobs - repeated.blobs, held.manifests - repeated.manifests
  FROM held, repeated, garbage
"""

_TOP_REPOSITORIES: Final = """
SELECT r.name, coalesce(held.bytes, 0), coalesce(held.blobs, 0), coalesce(held.manifests, 0)
  FROM artifacts_repository r
  LEFT JOIN (SELECT repository_id, sum(bytes)::bigint AS bytes, sum(blobs)::bigint AS blobs,
                    sum(manifests)::bigint AS manifests
               FROM usage_holding {of_project_holding} GROUP BY repository_id) AS held
         ON held.repository_id = r.id
 {of_project} ORDER BY 2 DESC, r.name LIMIT %(top)s
"""
_TOP_OF_PROJECT: Final = _TOP_REPOSITORIES.format(
    of_project="WHERE r.project_id = %(project)s",
    of_project_holding="""
              WHERE repository_id IN (
                    SELECT id FROM artifacts_repository WHERE project_id = %(project)s)""",
)
_TOP_OF_REGISTRY: Final = _TOP_REPOSITORIES.format(
    of_project="", of_project_holding="WHERE repository_id IS NOT NULL"
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
