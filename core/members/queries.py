"""Reading roles and memberships."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce

from core.members import rules
from core.members.errors import MemberUnknown, RoleUnknown
from core.members.models import Membership, Role
from core.projects.models import Project


def list_roles() -> QuerySet[Role]:
    """Return built-in and custom roles by id."""
    return Role.objects.order_by("id")


def get_role(role_id: int) -> Role:
    """Return the role with that id. Raises ``RoleUnknown``."""
    return _one_role(id=role_id)


def get_role_by_name(name: str) -> Role:
    """Return the role of that name; case does not matter. Raises ``RoleUnknown``."""
    if not rules.is_valid_role_name(name):
        raise RoleUnknown
    return _one_role(name__iexact=name)


def role_permissions(role: Role) -> frozenset[str]:
    """Return everything the role allows in a project."""
    return rules.permissions_of(role.name, role.permissions)


def list_members(project: Project) -> QuerySet[Membership]:
    """Return the project's memberships by ``entity_name``, with role and subject.

    ``entity_name`` can be filtered by; on a membership itself ask ``subject_name``.
    """
    return (
        Membership.objects.filter(project=project)
        .select_related("role", "user", "group")
        .annotate(entity_name=Coalesce(F("user__username"), F("group__name")))
        .order_by("entity_name", "id")
    )


def get_member(project: Project, membership_id: int) -> Membership:
    """Return one membership of the project. Raises ``MemberUnknown``."""
    membership = list_members(project).filter(pk=membership_id).first()
    if membership is None:
        raise MemberUnknown
    return membership


def roles_of_user(user_id: int) -> dict[int, frozenset[int]]:
    """Return, for each project, the ids of the roles the user holds there.

    Counts memberships of the user and of the user's groups, with one statement.
    """
    held: dict[int, set[int]] = {}
    for project_id, role_id in memberships_of_user(user_id).values_list("project_id", "role_id"):
        held.setdefault(project_id, set()).add(role_id)
    return {project_id: frozenset(roles) for project_id, roles in held.items()}


def memberships_of_user(user_id: int) -> QuerySet[Membership]:
    """Return the memberships of the user and of the user's groups, by project."""
    direct = Membership.objects.filter(user_id=user_id)
    through_groups = Membership.objects.filter(group__user__id=user_id)
    return (direct | through_groups).distinct().order_by("project_id", "id")


def count_members_by_role(project: Project) -> Mapping[int, int]:
    """Return how many memberships of the project carry each role id."""
    rows: list[tuple[int, Any]] = list(
        Membership.objects.filter(project=project)
        .order_by("role_id")
        .values_list("role_id")
        .annotate(number=Count("id"))
    )
    return dict(rows)


def _one_role(**lookup: object) -> Role:
    role = Role.objects.filter(**lookup).first()
    if role is None:
        raise RoleUnknown
    return role
