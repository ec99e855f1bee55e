"""Comparing what was counted with what is there, and correcting the count.

Both are read in one statement, so they are of the same instant whatever is pushed meanwhile; the
correction is a difference, which is right whatever else is counted before it is applied. So
nothing has to wait, neither for the comparison nor for the correction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from core.audit import services as audit
from core.database import raw
from core.database.transactions import durable_write
from core.projects.models import Project
from core.rbac.types import Actor
from core.usage.errors import RecountRunning
from core.usage.types import Correction, Recount

log = structlog.get_logger(__name__)

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('core.usage.recount', 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('core.usage.recount', 0))"

# A correction must not be refused because the project is over its limit.
_ALLOW = "SELECT set_config('roadstead.corrects_usage', 'on', true)"

_CORRECT_CONTENTS = """
WITH actual AS (
     SELECT b.digest, false AS is_manifest, max(b.size_bytes) AS size_bytes,
            count(*)::integer AS holders
       FROM artifacts_repository r
       JOIN artifacts_repositoryblob l ON l.repository_id = r.id
       JOIN blobs_blob b ON b.id = l.blob_id
      WHERE r.project_id = %(project)s GROUP BY b.digest
      UNION ALL
     SELECT m.digest, true, max(m.size_bytes)::bigint, count(*)::integer
       FROM artifacts_repository r JOIN artifacts_manifest m ON m.repository_id = r.id
      WHERE r.project_id = %(project)s GROUP BY m.digest),
     counted AS (
     SELECT digest, is_manifest, size_bytes, holders
       FROM usage_projectcontent WHERE project_id = %(project)s),
     wrong AS (
     SELECT digest, is_manifest, coalesce(actual.size_bytes, counted.size_bytes) AS size_bytes,
            coalesce(actual.holders, 0) - coalesce(counted.holders, 0) AS difference
       FROM actual FULL JOIN counted USING (digest, is_manifest)
      WHERE coalesce(actual.holders, 0) <> coalesce(counted.holders, 0))
SELECT count(*), usage_count(
           array_agg(%(project)s::bigint), array_agg(digest), array_agg(is_manifest),
           array_agg(size_bytes), array_agg(difference))
  FROM wrong
"""

_OWN_CHANGES = """
SELECT coalesce(sum(bytes), 0)::bigint FROM quotas_usagechange
 WHERE project_id = %s AND transaction_id = pg_current_xact_id()::text::bigint
"""

# What the usage differs by from what is counted now is one more change of it.
_CORRECT_USAGE = """
INSERT INTO quotas_usagechange (project_id, transaction_id, bytes)
SELECT q.project_id, pg_current_xact_id()::text::bigint, drift.bytes
  FROM quotas_quota q,
       LATERAL (SELECT coalesce((SELECT sum(size_bytes) FROM usage_projectcontent c
                                  WHERE c.project_id = q.project_id), 0)::bigint
                       - q.used_bytes
                       - coalesce((SELECT sum(bytes) FROM quotas_usagechange u
                                    WHERE u.project_id = q.project_id), 0)::bigint) AS drift(bytes)
 WHERE q.project_id = %s AND drift.bytes <> 0
"""


# Rows of a statement are written in one order, so two runs do not wait for each other in a ring.
_SETTLE: Final = """
WITH chosen AS MATERIALIZED (
     SELECT id FROM usage_holding WHERE NOT is_settled
      ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED),
     taken AS (
     DELETE FROM usage_holding WHERE id IN (SELECT id FROM chosen)
     RETURNING repository_id, project_id, blobs, manifests, bytes),
     settled AS (
     INSERT INTO usage_holding AS settled
            (repository_id, project_id, blobs, manifests, bytes, is_settled)
     SELECT repository_id, project_id, sum(blobs), sum(manifests), sum(bytes), true
       FROM taken GROUP BY 1, 2 ORDER BY 1, 2
     ON CONFLICT (repository_id, project_id) WHERE is_settled
     DO UPDATE SET blobs = settled.blobs + excluded.blobs,
                   manifests = settled.manifests + excluded.manifests,
                   bytes = settled.bytes + excluded.bytes)
SELECT count(*) FROM taken
"""
_REMOVE_NOTHING: Final = """
DELETE FROM usage_holding WHERE is_settled AND blobs = 0 AND manifests = 0 AND bytes = 0
"""

_RECOUNT_HOLDINGS: Final = """
INSERT INTO usage_holding (repository_id, project_id, blobs, manifests, bytes)
SELECT repository_id, project_id, sum(blobs), sum(manifests), sum(bytes)
  FROM (SELECT l.repository_id, NULL::bigint AS project_id, count(*) AS blobs, 0 AS manifests,
               sum(b.size_bytes) AS bytes
          FROM artifacts_repositoryblob l JOIN blobs_blob b ON b.id = l.blob_id GROUP BY 1
         UNION ALL
        SELECT repository_id, NULL, 0, count(*), sum(size_bytes)
          FROM artifacts_manifest GROUP BY 1
         UNION ALL
        SELECT NULL, project_id, count(*) FILTER (WHERE NOT is_manifest),
               count(*) FILTER (WHERE is_manifest), sum(size_bytes)
          FROM usage_projectcontent GROUP BY 2
         UNION ALL
        SELECT repository_id, project_id, -blobs, -manifests, -bytes FROM usage_holding)
       AS differences
 GROUP BY 1, 2 HAVING sum(blobs) <> 0 OR sum(manifests) <> 0 OR sum(bytes) <> 0
"""

_FIND_NOT_COMPARED: Final = """
SELECT digest, is_manifest FROM usage_projectcontent
 WHERE is_shared IS NULL ORDER BY is_manifest, digest LIMIT %(limit)s
"""
# In the order of every write of contents. What is committed while this waits is seen by the next
# statement; what is committed later has not been compared yet, and finds these rows then.
_LOCK_ALIKE: Final = """
SELECT id FROM usage_projectcontent
 WHERE (digest, is_manifest) IN (SELECT * FROM unnest(%(digests)s::bytea[], %(kinds)s::boolean[]))
 ORDER BY is_manifest, project_id, digest FOR UPDATE
"""
_COMPARE: Final = """
UPDATE usage_projectcontent own SET is_shared = found.is_shared
  FROM (SELECT c.id, EXISTS (
               SELECT FROM usage_projectcontent other
                WHERE other.digest = c.digest AND other.is_manifest = c.is_manifest
                  AND other.project_id <> c.project_id) AS is_shared
          FROM usage_projectcontent c WHERE c.id = ANY(%s::bigint[])) AS found
 WHERE own.id = found.id AND own.is_shared IS DISTINCT FROM found.is_shared
"""
_SHARED_WRONGLY: Final = """
UPDATE usage_projectcontent own SET is_shared = NULL
 WHERE NOT is_shared AND EXISTS (
       SELECT FROM usage_projectcontent other
        WHERE other.digest = own.digest AND other.is_manifest = own.is_manifest
          AND other.project_id <> own.project_id AND other.is_shared IS NOT NULL)
"""


def reconcile(*, actor: Actor, on_project: Callable[[int], None] | None = None) -> Recount:
    """Recount every project; correct, record and return what was wrong.

    ``on_project`` hears how many projects are done. Raises ``RecountRunning``.
    """
    corrections: list[Correction] = []
    projects = list(Project.objects.order_by("id"))
    with _alone():
        for number, project in enumerate(projects, start=1):
            correction = _reconcile_project(project, actor=actor)
            if correction is not None:
                corrections.append(correction)
            if on_project is not None:
                on_project(number)
    return Recount(len(projects), tuple(corrections))


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second recount out: it would correct the same thing once more."""
    row = raw.fetch_one(_LOCK)
    if row is None or not row[0]:
        raise RecountRunning
    try:
        yield
    finally:
        raw.fetch_one(_UNLOCK)


@durable_write
def _reconcile_project(project: Project, *, actor: Actor) -> Correction | None:
    """Recount one project and correct what was wrong; None when nothing was."""
    raw.fetch_one(_ALLOW)
    contents = _number(_CORRECT_CONTENTS, {"project": project.pk})
    raw.execute(_CORRECT_USAGE, (project.pk,))
    changed = _number(_OWN_CHANGES, (project.pk,))
    if not contents and not changed:
        return None
    log.warning("usage_corrected", project=project.name, contents=contents, bytes=changed)
    audit.record(
        "usage.project.corrected",
        actor,
        target_kind="project",
        target_id=project.pk,
        target_label=project.name,
        project_id=project.pk,
        project_name=project.name,
        detail={"contents": contents, "bytes": changed},
    )
    return Correction(project.pk, project.name, contents, changed)


@durable_write
def settle_holdings(limit: int) -> int:
    """Add up to ``limit`` rows of what is held to the settled ones; return how many there were."""
    row = raw.fetch_one(_SETTLE, (limit,))
    taken = 0 if row is None else int(row[0])
    if taken:
        raw.execute(_REMOVE_NOTHING)
    return taken


@durable_write
def compare_contents(limit: int) -> int:
    """Find out of up to ``limit`` new contents whether other projects have them, too.

    Returns how many there were.
    """
    found = raw.fetch_all(_FIND_NOT_COMPARED, {"limit": limit})
    if not found:
        return 0
    digests, kinds = [bytes(row[0]) for row in found], [row[1] for row in found]
    locked = raw.fetch_all(_LOCK_ALIKE, {"digests": digests, "kinds": kinds})
    raw.execute(_COMPARE, ([content for (content,) in locked],))
    return len(found)


@durable_write
def recount_holdings() -> int:
    """Compare what is kept beside contents with them; correct what is wrong.

    Returns how much was. Anything that is means a defect of the triggers that keep it.
    """
    raw.execute("SET LOCAL statement_timeout = 0")
    corrected = raw.execute(_RECOUNT_HOLDINGS) + raw.execute(_SHARED_WRONGLY)
    if corrected:
        log.warning("holdings_corrected", rows=corrected)
    return corrected


def _number(query: str, parameters: raw.Parameters) -> int:
    row = raw.fetch_one(query, parameters)
    return 0 if row is None else int(row[0])
