"""The decision itself: pure, from an actor, a permission, a target and the actor's grants."""

from collections.abc import Collection, Iterable, Mapping

from core.rbac.permissions import SYSTEM_PERMISSIONS
from core.rbac.roles import BUILT_IN_ROLES, PUBLIC_PERMISSIONS
from core.rbac.types import Actor, ActorKind, Explanation, Grant, Target

SCOPE_PULL = "repository:pull"
SCOPE_PUSH = "repository:push"
SCOPE_DELETE = "repository:delete"
SCOPE_READ = "management:read"
SCOPE_WRITE = "management:write"
SCOPES = frozenset({SCOPE_PULL, SCOPE_PUSH, SCOPE_DELETE, SCOPE_READ, SCOPE_WRITE})
"""What a personal access token may be limited to."""

_READING_VERBS = frozenset({"read", "list"})
_CONTENT_ACTIONS = frozenset({SCOPE_PULL, SCOPE_PUSH, SCOPE_DELETE})
EVERY_PROJECT = "*"
THE_SYSTEM = "/"


def scope_covers(scopes: frozenset[str] | None, permission: str) -> bool:
    """Tell whether credentials limited to ``scopes`` may use the permission at all.

    None means unlimited. The three content scopes cover the permission of the same name,
    ``management:read`` every reading permission and ``management:write`` every other one
    including the reading ones.
    """
    if scopes is None or permission in scopes:
        return True
    if permission in _CONTENT_ACTIONS and permission != SCOPE_DELETE:
        return False
    if is_reading(permission) and SCOPE_READ in scopes:
        return True
    return SCOPE_WRITE in scopes


def is_reading(permission: str) -> bool:
    """Tell whether the permission changes nothing."""
    return permission.rpartition(":")[2] in _READING_VERBS


def decide(actor: Actor, permission: str, target: Target, grants: Iterable[Grant]) -> Explanation:
    """Decide whether the actor may use the permission on the target, with all reasons."""
    if not scope_covers(actor.scopes, permission):
        return _refused(permission, f"the token's scopes do not cover {permission}")
    if actor.scope_projects is not None and target.project_name not in actor.scope_projects:
        return _refused(permission, "the token is limited to other projects")
    reasons = tuple(_reasons(actor, permission, target, grants))
    if reasons:
        return Explanation(allowed=True, permission=permission, reasons=reasons)
    return _refused(permission, _why_not(actor, target))


def allowed_among(
    actor: Actor, permissions: Iterable[str], target: Target, grants: Collection[Grant]
) -> frozenset[str]:
    """Return those of the permissions that the actor may use on the target."""
    return frozenset(name for name in permissions if _is_allowed(actor, name, target, grants))


def _is_allowed(actor: Actor, permission: str, target: Target, grants: Iterable[Grant]) -> bool:
    """Decide as ``decide`` does, and say no more than yes or no."""
    return _is_within_scopes(actor, permission, target) and any(
        _reasons(actor, permission, target, grants)
    )


def _is_within_scopes(actor: Actor, permission: str, target: Target) -> bool:
    return scope_covers(actor.scopes, permission) and (
        actor.scope_projects is None or target.project_name in actor.scope_projects
    )


def needs_grants(actor: Actor, permission: str, target: Target) -> bool:
    """Tell whether the decision can depend on grants, so that others cost no query."""
    if actor.kind is not ActorKind.USER or actor.is_system_admin or target.project_id is None:
        return False
    if not scope_covers(actor.scopes, permission):
        return False
    return not (target.is_public and permission in PUBLIC_PERMISSIONS)


def _reasons(
    actor: Actor, permission: str, target: Target, grants: Iterable[Grant]
) -> Iterable[str]:
    if actor.is_system_admin:
        yield "system administrators may do everything"
    if target.project_id is not None and target.is_public and permission in PUBLIC_PERMISSIONS:
        yield f"project {target.project_name} is public"
    if actor.own_permissions is not None:
        yield from _own_reasons(actor.own_permissions, permission, target)
    for grant in grants:
        if grant.repository_id not in (None, target.repository_id):
            continue
        held = grant.permissions
        if held is None:
            held = BUILT_IN_ROLES.get(grant.role, frozenset())
        if permission in held:
            yield f"{grant.source}: {grant.role}"


def _own_reasons(
    own: Mapping[str, frozenset[str]], permission: str, target: Target
) -> Iterable[str]:
    if target.is_system:
        if permission in SYSTEM_PERMISSIONS and permission in own.get(THE_SYSTEM, ()):
            yield "the robot holds this system permission"
        return
    if target.project_id is None:
        return
    for scope in (target.project_name, EVERY_PROJECT):
        if permission in own.get(scope, ()):
            where = "every project" if scope == EVERY_PROJECT else f"project {scope}"
            yield f"the robot holds this permission in {where}"


def _refused(permission: str, reason: str) -> Explanation:
    return Explanation(allowed=False, permission=permission, reasons=(reason,))


def _why_not(actor: Actor, target: Target) -> str:
    if actor.is_anonymous:
        return "anonymous callers may only read public projects"
    if target.is_system:
        return "the actor holds no such system permission"
    where = f"project {target.project_name}"
    if target.repository_name:
        where = f"repository {target.repository_name}"
    return f"no role or grant gives this permission in {where}"
