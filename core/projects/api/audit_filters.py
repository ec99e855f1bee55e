"""How audit entries are filtered and ordered."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from rest_framework.request import Request

from core.api.errors import BadRequest
from core.api.listing import Column, ColumnKind, Listing, boolean, condition
from core.api.pagination import Stretch
from core.api.query_language import AnyOf, Exact, Fuzzy, Pattern
from core.audit.models import AuditCount, AuditEntry
from core.audit.queries import find_by_resource
from core.audit.types import Outcome
from core.rbac.types import ActorKind

_OPERATIONS = {
    "created": "create",
    "updated": "update",
    "changed": "update",
    "deleted": "delete",
    "removed": "delete",
    "revoked": "delete",
    "added": "create",
    "granted": "create",
    "pulled": "pull",
    "pushed": "create",
    "rotated": "update",
}
"""The past verb that ends an audit action to the operation that Harbor's clients know."""

EVENT_TYPES = (
    "create_artifact",
    "delete_artifact",
    "pull_artifact",
    "create_project",
    "delete_project",
    "update_project",
    "delete_repository",
    "login_user",
    "create_user",
    "delete_user",
    "update_user",
    "create_robot",
    "delete_robot",
    "update_configuration",
    "create_member",
    "delete_member",
    "update_member",
)
"""Harbor's names for what the log records: the operation and the type of the resource."""

_FEW = 20_000
"""So many entries are looked through one by one, sooner than what all others are about."""


def operation_of(action: str) -> str:
    """Return the operation of an action; an unlisted verb stands for itself."""
    verb = action.rpartition(".")[2]
    return _OPERATIONS.get(verb, verb)


def _by_operation(entries: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    match pattern:
        case Exact(value):
            wanted: tuple[str, ...] = (value,)
        case AnyOf(values):
            wanted = values
        case Fuzzy(value):
            return entries.filter(action__icontains=value)
        case _:
            raise BadRequest("q: operation takes a value or a {list}.")
    condition = Q()
    for operation in wanted:
        verbs = [verb for verb, name in _OPERATIONS.items() if name == operation]
        for verb in verbs or [operation]:
            condition |= Q(action__endswith=f".{verb}")
    return entries.filter(condition)


def _by_username(entries: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    """Find what somebody did, and logins that failed under the name: nobody is proven then.

    Most names have no failed logins, and one condition alone is found by its index.
    """
    wanted = condition(Column("actor_label"), pattern, "username")
    tried = condition(Column("target_label"), pattern, "username")
    failed_logins = tried & Q(action="user.login", actor_kind=ActorKind.ANONYMOUS)
    if AuditEntry.objects.filter(failed_logins).exists():
        wanted |= failed_logins
    return entries.filter(wanted)


def _by_resource(entries: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    """A part of a resource that few of many entries have is found without reading all of them."""
    if isinstance(pattern, Fuzzy) and entries[_FEW : _FEW + 1].exists():
        found = find_by_resource(pattern.value)
        if found is not None:
            return entries.filter(pk__in=found)
    return entries.filter(condition(Column("target_label"), pattern, "resource"))


def _by_result(entries: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    if not isinstance(pattern, Exact):
        raise BadRequest("q: operation_result takes true or false.")
    succeeded = Q(outcome=Outcome.SUCCESS)
    return entries.filter(succeeded if boolean(pattern.value, "operation_result") else ~succeeded)


AUDIT_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "username": Column("actor_label"),
        "resource": Column("target_label"),
        "resource_type": Column("target_kind"),
        "op_time": Column("recorded_at", ColumnKind.TIME),
        "action": Column("action"),
        "address": Column("address", ColumnKind.ADDRESS, is_sortable=False),
        "project_id": Column("project_id", ColumnKind.INTEGER),
    },
    default_order=("-recorded_at",),
    special={
        "operation": _by_operation,
        "operation_result": _by_result,
        "resource": _by_resource,
        "username": _by_username,
    },
)

_OF_COUNTS = frozenset({"action", "operation", "operation_result", "project_id", "resource_type"})
"""Keys by columns that entries and counts have in common."""


def count_entries(
    request: Request, *, projects: "Sequence[int] | QuerySet[Any] | None" = None
) -> list[Stretch] | None:
    """Return how many entries of these projects, of all without any, the request selects.

    Where all projects are in question and time gives the order, day by day. None where only the
    entries themselves can tell.
    """
    asked = AUDIT_LISTING.asked_for(request)
    if not asked <= _OF_COUNTS:
        return None
    counts = AUDIT_LISTING.select(AuditCount.objects.all(), request)
    if projects is None and "project_id" not in asked:
        return _by_day(counts.filter(day__isnull=False), AUDIT_LISTING.order(request)[0])
    counts = counts.filter(day=None)
    if projects is not None:
        counts = counts.filter(project_id__in=projects)
    return [Stretch(counts.aggregate(total=Coalesce(Sum("entries"), 0))["total"])]


def _by_day(counts: "QuerySet[AuditCount]", order: str) -> list[Stretch]:
    """Return the stretches of a list; ``order`` is the first term of its order."""
    rows = counts.values_list("day").annotate(total=Sum("entries")).order_by("day")
    days = [(datetime.combine(day, time.min, UTC), total) for day, total in rows]
    if order == "recorded_at":
        return [Stretch(total, Q(recorded_at__gte=begin)) for begin, total in days]
    if order == "-recorded_at":
        ends = [(begin + timedelta(days=1), total) for begin, total in reversed(days)]
        return [Stretch(total, Q(recorded_at__lt=end)) for end, total in ends]
    return [Stretch(sum(total for _day, total in days))]
