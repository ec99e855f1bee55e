"""Reading quotas."""

from typing import NamedTuple

from django.db.models import BigIntegerField, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce

from core.database import raw
from core.projects.models import Project
from core.quotas.errors import QuotaUnknown
from core.quotas.models import Quota, UsageChange

_USAGE = """
SELECT q.hard_bytes,
       q.used_bytes + coalesce((SELECT sum(bytes) FROM quotas_usagechange c
                                 WHERE c.project_id = q.project_id), 0)::bigint
  FROM quotas_quota q WHERE q.project_id = %s
"""


class ProjectUsage(NamedTuple):
    """The limit of a project (-1: none) and what it holds, in bytes."""

    hard_bytes: int
    used_bytes: int


def list_quotas() -> QuerySet[Quota]:
    """Return all quotas with their projects; ``usage`` is what a project holds."""
    changes = UsageChange.objects.filter(project_id=OuterRef("project_id")).order_by()
    total = changes.values("project_id").annotate(total=Sum("bytes")).values("total")
    return Quota.objects.select_related("project").annotate(
        usage=F("used_bytes")
        + Coalesce(Cast(Subquery(total), BigIntegerField()), Value(0, BigIntegerField()))
    )


def get_quota(quota_id: int) -> Quota:
    """Return the quota with that id, as ``list_quotas`` does. Raises ``QuotaUnknown``."""
    quota = list_quotas().filter(pk=quota_id).first()
    if quota is None:
        raise QuotaUnknown
    return quota


def usage_of(project: Project) -> ProjectUsage:
    """Return limit and usage of a project. Raises ``QuotaUnknown`` when it has been deleted."""
    row = raw.fetch_one(_USAGE, (project.pk,))
    if row is None:
        raise QuotaUnknown
    return ProjectUsage(*row)
