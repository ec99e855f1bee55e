"""Reading repository grants, and whom a question about rights can be about."""

from datetime import datetime

from core.artifacts.models import Repository
from core.common.origin import Origin
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant
from core.grants.types import AskedRobot, RepositoryGrant, RepositoryRight
from core.robots import queries as robots
from core.robots import rules as robot_rules


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
