"""Reading robots."""

import json
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from core.database import raw
from core.projects.models import Project
from core.robots import rules
from core.robots.errors import RobotUnknown
from core.robots.models import Robot
from core.robots.types import Permissions, Power, RobotFacts, RobotLogin
from core.system_settings import queries as system_settings

_LOGIN: Final = """
SELECT r.name, o.name, r.permissions, r.project_ids,
       r.id, r.secret_hash, r.previous_secret_hash, r.previous_valid_until,
       r.is_disabled, r.expires_at, r.last_used_at
  FROM robots_robot r LEFT JOIN projects_project o ON o.id = r.project_id"""
_LOGIN_BY_ID: Final = f"{_LOGIN} WHERE r.id = %s"
_LOGIN_IN_PROJECT: Final = f"{_LOGIN} WHERE r.name = %s AND o.name = %s"
_LOGIN_IN_SYSTEM: Final = f"{_LOGIN} WHERE r.name = %s AND r.project_id IS NULL"
_NAMES_OF_PROJECTS: Final = "SELECT name, id FROM projects_project WHERE id = ANY(%s)"


def robot_name_prefix() -> str:
    """Return what every robot's login name begins with."""
    return system_settings.current().robot_name_prefix


def login_name(robot: Robot) -> str:
    """Return the name the robot logs in with, for example ``robot-library+ci``."""
    project_name = robot.project.name if robot.project is not None else None
    return rules.full_name(robot.name, project_name, prefix=robot_name_prefix())


def find_login(login: str) -> RobotLogin | None:
    """Return what a login with this name needs, with one statement, or None."""
    name = rules.parse_full_name(login, prefix=robot_name_prefix())
    if name is None:
        return None
    if name.project_name is None:
        return _login(raw.fetch_one(_LOGIN_IN_SYSTEM, (name.name,)))
    return _login(raw.fetch_one(_LOGIN_IN_PROJECT, (name.name, name.project_name)))


def find_login_of(robot_id: int) -> RobotLogin | None:
    """Return the same for a robot whose id is known, or None."""
    return _login(raw.fetch_one(_LOGIN_BY_ID, (robot_id,)))


def get_robot(robot_id: int) -> Robot:
    """Return the robot with that id. Raises ``RobotUnknown``."""
    robot = Robot.objects.select_related("project").filter(pk=robot_id).first()
    if robot is None:
        raise RobotUnknown
    return robot


def list_robots(project: Project | None) -> QuerySet[Robot]:
    """Return the robots of a project, or of the system, by name."""
    return Robot.objects.select_related("project").filter(project=project).order_by("name", "id")


def permissions_of(robot: Robot | RobotLogin) -> Permissions:
    """Return what the robot may do, as sets.

    Projects of a robot of the system that have been deleted since are left out, also when
    another project has taken the name: that one is another tenant's. Robots that name no
    project but their own cost no statement.
    """
    kept = {*robot.permissions} - {*robot.project_ids}
    if robot.project_ids:
        present = raw.fetch_all(_NAMES_OF_PROJECTS, ([*robot.project_ids.values()],))
        kept.update(
            name for name, project_id in present if robot.project_ids.get(name) == project_id
        )
    return {
        namespace: frozenset(permissions)
        for namespace, permissions in robot.permissions.items()
        if namespace in kept
    }


def power_of(robot: Robot) -> Power:
    """Return what the robot may do and until when, by which changes of it are judged."""
    return Power(permissions_of(robot), robot.is_disabled, robot.expires_at)


def is_usable(robot: Robot, now: datetime) -> bool:
    """Tell whether the robot may act at that moment: neither disabled nor expired."""
    return rules.is_usable(is_disabled=robot.is_disabled, expires_at=robot.expires_at, now=now)


def _login(row: raw.Row | None) -> RobotLogin | None:
    if row is None:
        return None
    name, project_name, permissions, project_ids, robot_id, secret, previous, *rest = row
    return RobotLogin(
        RobotFacts(
            robot_id,
            rules.full_name(name, project_name, prefix=robot_name_prefix()),
            bytes(secret),
            None if previous is None else bytes(previous),
            *rest,
        ),
        json.loads(permissions),
        json.loads(project_ids),
    )
