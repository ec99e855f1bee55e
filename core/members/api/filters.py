"""Which projects and members a list shows, and in which order."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet

from core.allowlists.api.serializers import shown_allowlists
from core.api.filtering import ParameterFilter, containing, exact, truth
from core.api.listing import Column, ColumnKind, Listing
from core.members import queries
from core.projects.models import Project
from core.rbac.roles import (
    BUILT_IN_ROLE_IDS,
    DEVELOPER,
    GUEST,
    LIMITED_GUEST,
    MAINTAINER,
    PUBLIC_PERMISSIONS,
)
from core.rbac.roles import PROJECT_ADMIN as ADMIN
from core.rbac.rules import EVERY_PROJECT, THE_SYSTEM, scope_covers
from core.rbac.types import Actor, ActorKind

_STRENGTH = [
    BUILT_IN_ROLE_IDS[name] for name in (ADMIN, MAINTAINER, DEVELOPER, GUEST, LIMITED_GUEST)
]

PROJECT_LISTING = Listing(
    columns={
        "project_id": Column("id", ColumnKind.INTEGER),
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "public": Column("is_public", ColumnKind.BOOLEAN),
        "owner": Column("owner_name"),
        "owner_name": Column("owner_name"),
        "owner_id": Column("owner_id", ColumnKind.INTEGER),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("name",),
)
MEMBER_LISTING = Listing(
    columns={
        "entity_name": Column("entity_name"),
        "role_id": Column("role_id", ColumnKind.INTEGER),
    },
    default_order=("entity_name",),
)
ROLE_LISTING = Listing(
    columns={"name": Column("name"), "role_id": Column("id", ColumnKind.INTEGER)},
    default_order=("id",),
)


class ProjectFilter(ParameterFilter):
    """Query parameters of the list of projects beside ``q``."""

    name = containing("name")
    owner = exact("owner_name")
    public = truth("is_public")


class MemberFilter(ParameterFilter):
    """Query parameters of the list of members."""

    entityname = containing("entity_name")


def visible_projects(actor: Actor) -> "QuerySet[Project]":
    """Return the projects whose existence the actor may know of."""
    projects = _within_token(actor)
    own = actor.own_permissions or {}
    if actor.is_system_admin or "project:list" in own.get(THE_SYSTEM, ()) or own.get(EVERY_PROJECT):
        return projects
    visible = Q(is_public=True) | Q(name__in=sorted(own))
    if actor.kind is ActorKind.USER and actor.id is not None:
        memberships = queries.memberships_of_user(actor.id).order_by()
        visible |= Q(pk__in=memberships.values("project_id"))
    return projects.filter(visible)


def projects_where(actor: Actor, permission: str) -> "QuerySet[Project, int]":
    """Return the ids of the projects in which the actor holds the permission.

    Costs one statement for users, to read their memberships, beside the query returned.
    """
    projects = _within_token(actor)
    if not scope_covers(actor.scopes, permission):
        projects = projects.none()
    own = actor.own_permissions or {}
    if not (actor.is_system_admin or permission in own.get(EVERY_PROJECT, ())):
        holds = Q(name__in=sorted(name for name, held in own.items() if permission in held))
        if permission in PUBLIC_PERMISSIONS:
            holds |= Q(is_public=True)
        if actor.kind is ActorKind.USER and actor.id is not None:
            holds |= Q(pk__in=_member_projects(actor.id, permission))
        projects = projects.filter(holds)
    return projects.order_by().values_list("pk", flat=True)


def _within_token(actor: Actor) -> "QuerySet[Project]":
    if actor.scope_projects is None:
        return Project.objects.all()
    return Project.objects.filter(name__in=sorted(actor.scope_projects))


def _member_projects(user_id: int, permission: str) -> list[int]:
    memberships = queries.memberships_of_user(user_id).select_related("role")
    return [
        membership.project_id
        for membership in memberships
        if permission in queries.role_permissions(membership.role)
    ]


def project_context(
    actor: Actor, projects: Sequence[Project], *, is_list: bool = False
) -> Mapping[str, Any]:
    """Return the caller's roles, numbers of repositories, allowlists, with three statements.

    Allowlists are whole unless it is for a list.
    """
    ids = [project.pk for project in projects]
    counts = Project.objects.filter(pk__in=ids).annotate(number=Count("repositories"))
    roles: Mapping[int, frozenset[int]] = {}
    if actor.kind is ActorKind.USER and actor.id is not None:
        roles = queries.roles_of_user(actor.id)
    return {
        "repositories": dict(counts.values_list("pk", "number")),
        "roles": {project: strongest_first(held) for project, held in roles.items()},
        "allowlists": shown_allowlists(actor, projects, is_list=is_list),
    }


def strongest_first(role_ids: frozenset[int]) -> list[int]:
    """Return role ids with the strongest first; custom roles follow the built-in ones."""
    return sorted(
        role_ids,
        key=lambda role: (_STRENGTH.index(role) if role in _STRENGTH else len(_STRENGTH), role),
    )
