"""Limits of projects, and what they hold by the rows that it is counted from."""

from core.database import raw
from core.projects.models import Project
from core.quotas.models import Quota
from core.quotas.queries import usage_of
from core.quotas.services import set_limit
from core.rbac.types import Actor

_TRULY_HELD = """
SELECT (SELECT coalesce(sum(size_bytes), 0)
          FROM (SELECT DISTINCT b.id, b.size_bytes
                  FROM artifacts_repository r
                  JOIN artifacts_repositoryblob l ON l.repository_id = r.id
                  JOIN blobs_blob b ON b.id = l.blob_id WHERE r.project_id = %(id)s) AS blobs)
     + (SELECT coalesce(sum(size_bytes), 0)
          FROM (SELECT DISTINCT m.digest, m.size_bytes
                  FROM artifacts_repository r
                  JOIN artifacts_manifest m ON m.repository_id = r.id
                 WHERE r.project_id = %(id)s) AS manifests)
"""


def limit(project: Project, hard_bytes: int) -> None:
    """Set the limit of a project."""
    set_limit(Quota.objects.get(project=project), hard_bytes, actor=Actor.system())


def used(project: Project) -> int:
    """Return what was counted."""
    return usage_of(project).used_bytes


def truly_held(project: Project) -> int:
    """Return what is there."""
    row = raw.fetch_one(_TRULY_HELD, {"id": project.pk})
    assert row is not None
    return int(row[0])
