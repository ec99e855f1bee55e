"""The one place that answers whether an actor may do something.

The grants of users come from the callable that ``RBAC_GRANT_SOURCE`` names:
``(actor, target) -> list[Grant]``, one SQL statement.
"""

from collections.abc import Callable, Iterable
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from core.rbac import rules
from core.rbac.errors import AuthenticationRequired, PermissionDenied
from core.rbac.types import Actor, Explanation, Grant, Target

GrantSource = Callable[[Actor, Target], list[Grant]]


def authorize(actor: Actor, permission: str, target: Target) -> None:
    """Let the action pass or raise.

    Raises ``AuthenticationRequired`` for anonymous actors and ``PermissionDenied`` for
    others. The message does not name the target: a request may have found it by its number,
    and neither its existence nor its name is to be learned by counting.
    """
    explanation = explain(actor, permission, target)
    if explanation.allowed:
        return
    if actor.is_anonymous:
        raise AuthenticationRequired
    raise PermissionDenied(f"{actor.label} does not have the permission {permission} there.")


def allowed(actor: Actor, permission: str, target: Target) -> bool:
    """Tell whether the actor may use the permission on the target."""
    return explain(actor, permission, target).allowed


def allowed_among(actor: Actor, permissions: Iterable[str], target: Target) -> frozenset[str]:
    """Return those of the permissions that the actor holds, reading grants at most once."""
    wanted = tuple(permissions)
    needed = any(rules.needs_grants(actor, permission, target) for permission in wanted)
    grants = _grant_source()(actor, target) if needed else []
    return rules.allowed_among(actor, wanted, target, grants)


def explain(actor: Actor, permission: str, target: Target) -> Explanation:
    """Return the decision with every reason that led to it."""
    grants: list[Grant] = []
    if rules.needs_grants(actor, permission, target):
        grants = _grant_source()(actor, target)
    return rules.decide(actor, permission, target, grants)


@cache
def _grant_source() -> GrantSource:
    source: GrantSource = import_string(settings.RBAC_GRANT_SOURCE)
    return source
