"""Comparing what was counted with what is there, and correcting it; keeping figures.

A recount reads both in one statement, so they are of the same instant whatever is pushed meanwhile;
the correction is a difference, which is right whatever else is counted before it is applied. So
nothing has to wait, neither for the comparison nor for the correction.

The figures of the storage explorer are counted in the transaction that keeps them, under an
advisory lock that only those who count take. So of many callers one counts, pushes wait for
nobody, and a count that fails leaves what was kept before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import structlog
from django.db import OperationalError
from psycopg2.errors import LockNotAvailable

from core.audit import services as audit
from core.common.clock import now
from core.database import raw
from core.database.transactions import durable_write
from core.projects.models import Project
from core.rbac.types import Actor
from core.usage import queries, rules
from core.usage.errors import RecountRunning, StorageCountRunning
from core.usage.models import StorageCount
from core.usage.types import Correction, CountedStorage, Recount

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

_COUNT_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_COUNT_UNLESS_COUNTED = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"

# A project that is being deleted keeps nothing, and nobody waits to learn whether it is.
_HOLD_PROJECT = "SELECT FROM projects_project WHERE id = %s FOR KEY SHARE SKIP LOCKED"


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
    raw.execute("SET LOCAL statement_timeout = 0")
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


def _number(query: str, parameters: raw.Parameters) -> int:
    row = raw.fetch_one(query, parameters)
    return 0 if row is None else int(row[0])


def storage_of(project_id: int | None) -> CountedStorage:
    """Return what a project, or the registry (None), holds, as it was counted last or counts now.

    ``core.usage.rules`` says when it is counted again; while one caller does so, the others get
    what was kept before. The figures are those for whoever sees all projects. Raises
    ``StorageCountRunning`` when nothing is kept yet and another caller takes long to count, and
    ``django.db.OperationalError`` when a count takes longer than a statement may. Where something
    is kept, that is returned instead.
    """
    kept = queries.kept_count(project_id)
    if kept is not None and not _is_due(kept):
        return kept
    contents = queries.contents_up_to(project_id, rules.COUNTED_ANEW_BELOW)
    if contents < rules.COUNTED_ANEW_BELOW or queries.is_read_only():
        return queries.count_storage(project_id, now())
    try:
        return _count_and_keep(project_id, kept)
    except OperationalError:
        if kept is None:
            raise
        log.warning("storage_count_failed", project_id=project_id, exc_info=True)
        return kept


@durable_write
def _count_and_keep(project_id: int | None, kept: CountedStorage | None) -> CountedStorage:
    """Count and keep, unless somebody does; then return ``kept``, or wait if it is None."""
    name = f"core.usage.count.{project_id or 'registry'}"
    if kept is None:
        _wait_for_others(name)
    elif raw.fetch_one(_COUNT_UNLESS_COUNTED, (name,)) == (False,):
        return kept
    found = queries.kept_count(project_id)
    if found is not None and not _is_due(found):
        # Somebody has counted since the caller looked.
        return found
    counted = queries.count_storage(project_id, now())
    if project_id is None or raw.fetch_one(_HOLD_PROJECT, (project_id,)) is not None:
        _keep(project_id, counted)
    return counted


def _wait_for_others(name: str) -> None:
    # The client can wait as well, without a thread that answers others.
    raw.execute("SET LOCAL lock_timeout = '1s'")
    try:
        raw.fetch_one(_COUNT_ALONE, (name,))
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise StorageCountRunning from error
        raise


def _keep(project_id: int | None, counted: CountedStorage) -> None:
    columns = asdict(counted.figures)
    top = [asdict(repository) for repository in counted.top_repositories]
    StorageCount.objects.bulk_create(
        [StorageCount(project_id=project_id, **columns, top_repositories=top)],
        update_conflicts=True,
        unique_fields=["project"],
        update_fields=[*columns, "top_repositories"],
    )


def _is_due(counted: CountedStorage) -> bool:
    figures = counted.figures
    return rules.is_due(figures.logical_contents, figures.counted_at, now())
