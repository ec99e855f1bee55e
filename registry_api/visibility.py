"""Which repositories a list may show to an actor; the same rights that a pull is judged by."""

from typing import Final

from django.db.models import Q

from core.artifacts.types import ReadableRepositories
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant
from core.grants.rules import PERMISSIONS_OF_RIGHT
from core.members.queries import memberships_of_user, role_permissions
from core.projects.models import Project
from core.rbac.rules import EVERY_PROJECT, scope_covers
from core.rbac.types import Actor, ActorKind

_PULL: Final = "repository:pull"
_RIGHTS_WITH_PULL: Final = sorted(
    right for right, permissions in PERMISSIONS_OF_RIGHT.items() if _PULL in permissions
)


def readable_repositories(actor: Actor) -> ReadableRepositories:
    """Return what the actor may pull: public, by role, by grant, or as its own permission."""
    if not scope_covers(actor.scopes, _PULL):
        return ReadableRepositories(public=False)
    if actor.scope_projects is not None:
        return _within_projects(actor, actor.scope_projects)
    if actor.is_system_admin or _holds_everywhere(actor):
        return ReadableRepositories(everything=True)
    return ReadableRepositories(
        project_ids=_projects_by_role(actor),
        project_names=_projects_of_robot(actor),
        repository_ids=_repositories_by_grant(actor),
    )


def _within_projects(actor: Actor, names: frozenset[str]) -> ReadableRepositories:
    """Narrow everything to the projects that a personal access token is limited to."""
    chosen = Project.objects.filter(name__in=names)
    if not actor.is_system_admin:
        chosen = chosen.filter(Q(is_public=True) | Q(pk__in=_projects_by_role(actor)))
    granted = _repositories_by_grant(actor, project_names=names)
    return ReadableRepositories(
        public=False,
        project_ids=frozenset(chosen.values_list("pk", flat=True)),
        repository_ids=granted,
    )


def _holds_everywhere(actor: Actor) -> bool:
    own = actor.own_permissions or {}
    return _PULL in own.get(EVERY_PROJECT, frozenset())


def _projects_of_robot(actor: Actor) -> frozenset[str]:
    own = actor.own_permissions or {}
    return frozenset(name for name, permissions in own.items() if _PULL in permissions)


def _projects_by_role(actor: Actor) -> frozenset[int]:
    if actor.kind is not ActorKind.USER or actor.id is None:
        return frozenset()
    held = memberships_of_user(actor.id).select_related("role")
    return frozenset(
        membership.project_id for membership in held if _PULL in role_permissions(membership.role)
    )


def _repositories_by_grant(
    actor: Actor, *, project_names: frozenset[str] | None = None
) -> frozenset[int]:
    if actor.kind is not ActorKind.USER or actor.id is None:
        return frozenset()
    found: set[int] = set()
    for grants in (
        RepositoryUserGrant.objects.filter(user_id=actor.id),
        RepositoryGroupGrant.objects.filter(group__user__id=actor.id),
    ):
        chosen = grants.filter(permission__codename__in=_RIGHTS_WITH_PULL)
        if project_names is not None:
            chosen = chosen.filter(content_object__project__name__in=project_names)
        found.update(chosen.values_list("content_object_id", flat=True))
    return frozenset(found)
