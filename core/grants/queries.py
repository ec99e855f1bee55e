"""Reading repository grants and what groups give, and whom a question about rights is about."""

from dataclasses import replace
from datetime import datetime

from core.artifacts.models import Repository
from core.common.origin import Origin
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant, TrashedGrant
from core.grants.rules import PERMISSIONS_OF_RIGHT
from core.grants.types import AskedRobot, RepositoryGrant, RepositoryRight
from core.members.models import Membership
from core.members.queries import role_permissions
from core.projects import queries as projects
from core.rbac.types import Target
from core.robots import queries as robots
from core.robots import rules as robot_rules
from core.users.models import Group


def list_repository_grants(repository: Repository) -> list[RepositoryGrant]:
    """Return who holds which right on the repository: users first, then by name and right."""
    users = (
        RepositoryUserGrant.objects.filter(content_object=repository)
        .order_by("user__username", "permission__codename")
        .values_list("user_id", "user__username", "permission__codename")
    )
    groups = (
        RepositoryGroupGrant.objects.filter(content_object=repository)
        .order_by("group__name", "permission__codename")
        .values_list("group_id", "group__name", "permission__codename")
    )
    return [
        RepositoryGrant(kind, subject_id, name, RepositoryRight(codename))
        for kind, rows in (("user", users), ("group", groups))
        for subject_id, name, codename in rows
    ]


def rights_of_group(group: Group) -> list[tuple[Target, frozenset[str]]]:
    """Return all that the group gives to whoever is in it, and where.

    What it held on a repository in the trash is part of it: that comes back with the repository.
    """
    memberships = Membership.objects.filter(group=group).select_related("project", "role")
    granted = RepositoryGroupGrant.objects.filter(group=group.pk).select_related(
        "content_object__project", "permission"
    )
    trashed = TrashedGrant.objects.filter(subject_kind="group", subject_id=group.pk).select_related(
        "entry__project"
    )
    given = [(projects.target_of(row.project), role_permissions(row.role)) for row in memberships]
    given += [
        (target_of(row.content_object), _permissions(row.permission.codename)) for row in granted
    ]
    given += [(projects.target_of(row.entry.project), _permissions(row.right)) for row in trashed]
    return given


def target_of(repository: Repository) -> Target:
    """Return the repository as the permission evaluator sees it."""
    project = projects.target_of(repository.project)
    return replace(project, repository_id=repository.pk, repository_name=repository.name)


def find_robot(login: str, origin: Origin, now: datetime) -> AskedRobot | None:
    """Return the robot that logs in with the name, or None; ``origin`` is where one asks from."""
    name = robot_rules.parse_full_name(login, prefix=robots.robot_name_prefix())
    found = robots.find_login(login)
    if name is None or found is None:
        return None
    facts = found.facts
    return AskedRobot(
        actor=robot_rules.actor_of(
            facts, robots.permissions_of(found), origin, ends_at=facts.expires_at
        ),
        project_name=name.project_name,
        is_usable=robot_rules.is_usable(
            is_disabled=facts.is_disabled, expires_at=facts.expires_at, now=now
        ),
    )


def _permissions(right: str) -> frozenset[str]:
    return PERMISSIONS_OF_RIGHT[RepositoryRight(right)]
