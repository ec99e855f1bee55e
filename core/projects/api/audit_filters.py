"""How audit entries are filtered and ordered."""

from typing import Any

from django.db.models import Q, QuerySet

from core.api.errors import BadRequest
from core.api.listing import Column, ColumnKind, Listing, boolean, condition
from core.api.query_language import AnyOf, Exact, Fuzzy, Pattern
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
    """Find what somebody did, and logins that failed under the name: nobody is proven then."""
    acted = condition(Column("actor_label"), pattern, "username")
    tried = condition(Column("target_label"), pattern, "username")
    failed_login = Q(action="user.login", actor_kind=ActorKind.ANONYMOUS)
    return entries.filter(acted | failed_login & tried)


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
        "username": _by_username,
    },
)
