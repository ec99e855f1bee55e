"""Setting limits, and adding up the usage of projects without one.

Locks: first the advisory lock of a project (``quotas_lock``), which the commit of a change holds
together with others and a change of the limit holds alone; then the changes; then the project's
row. Whoever commits a change takes them last of all, projects by id.
"""

from datetime import datetime

from core.audit import services as audit
from core.common.clock import now as current_time
from core.database import raw
from core.database.transactions import durable_write
from core.events.services import publish
from core.projects.models import Project
from core.projects.services import create_project_locked
from core.quotas import rules
from core.quotas.errors import QuotaInvalid, QuotaUnknown
from core.quotas.events import QuotaNearlyReached
from core.quotas.models import Quota
from core.rbac.types import Actor
from core.system_settings.queries import share_locked

# Waits for the commits that have seen the limit of before, and lets none begin.
_LOCK_ALONE = "SELECT pg_advisory_xact_lock(quotas_lock(%s))"

_FOLD_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('core.quotas.fold', 0))"

# Of one project, or of all without one.
_FOLD = """
WITH taken AS (
     DELETE FROM quotas_usagechange
      WHERE %(project)s IS NULL OR project_id = %(project)s RETURNING project_id, bytes),
     added AS (
     SELECT project_id, sum(bytes)::bigint AS bytes FROM taken GROUP BY project_id)
UPDATE quotas_quota AS quota
   SET used_bytes = greatest(quota.used_bytes + added.bytes, 0)
  FROM added WHERE quota.project_id = added.project_id
"""

# A row that a push holds at the moment is left for the next time.
_WARN = """
UPDATE quotas_quota AS quota
   SET warned_at = CASE WHEN full_rows.is_nearly_full THEN %s::timestamptz END
  FROM (SELECT id, warned_at IS NULL AS is_nearly_full
          FROM quotas_quota
         WHERE (hard_bytes > 0 AND used_bytes * 100.0 >= hard_bytes * %s::numeric)
               <> (warned_at IS NOT NULL)
         ORDER BY project_id FOR NO KEY UPDATE SKIP LOCKED) AS full_rows,
       projects_project AS project
 WHERE quota.id = full_rows.id AND project.id = quota.project_id
RETURNING full_rows.is_nearly_full, project.id, project.name, quota.used_bytes, quota.hard_bytes
"""


def limit_new_project_locked(project: Project, hard_bytes: int | None, *, actor: Actor) -> None:
    """Give a project of the caller's own transaction its limit.

    None and 0 stand for the limit that new projects have by the settings. Raises
    ``QuotaInvalid``.
    """
    wanted = hard_bytes or share_locked().default_quota_bytes
    if not rules.is_valid_limit(wanted):
        raise QuotaInvalid
    if wanted == rules.UNLIMITED:
        return
    Quota.objects.filter(project=project).update(hard_bytes=wanted)
    _record(project, actor, before=rules.UNLIMITED, after=wanted)


@durable_write
def create_project(name: str, *, actor: Actor) -> Project:
    """Create a private project with the limit that new projects have, and without members.

    Raises ``ProjectNameInvalid`` and ``ProjectNameTaken``.
    """
    project = create_project_locked(name, is_public=False, actor=actor)
    limit_new_project_locked(project, None, actor=actor)
    return project


@durable_write
def set_limit(quota: Quota, hard_bytes: int, *, actor: Actor) -> None:
    """Change the limit of a project; -1 takes it away.

    A limit below what the project holds refuses whatever would add to that. Every write that
    commits after this one is judged by the new limit. Raises ``QuotaInvalid`` and
    ``QuotaUnknown``.
    """
    if not rules.is_valid_limit(hard_bytes):
        raise QuotaInvalid
    raw.fetch_one(_LOCK_ALONE, (quota.project_id,))
    raw.execute(_FOLD, {"project": quota.project_id})
    locked = Quota.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    found = locked.filter(pk=quota.pk).first()
    if found is None:
        raise QuotaUnknown
    before, found.hard_bytes = found.hard_bytes, hard_bytes
    found.updated_at = current_time()
    found.save(update_fields=["hard_bytes", "updated_at"])
    _record(found.project, actor, before=before, after=hard_bytes)


@durable_write
def fold_usage(now: datetime) -> int:
    """Add up the changes of projects without a limit; return how many projects had some.

    Announces projects that have become nearly full, and notices those that no longer are.
    """
    raw.fetch_one(_FOLD_ALONE)
    folded = raw.execute(_FOLD, {"project": None})
    for is_nearly_full, *facts in raw.fetch_all(_WARN, (now, rules.WARNING_PERCENT)):
        if is_nearly_full:
            publish(QuotaNearlyReached(*facts))
    return folded


def _record(project: Project, actor: Actor, *, before: int, after: int) -> None:
    audit.record(
        "quotas.quota.updated",
        actor,
        target_kind="quota",
        target_id=project.pk,
        target_label=project.name,
        project_id=project.pk,
        project_name=project.name,
        detail={"hard_bytes": after, "hard_bytes_before": before},
    )
