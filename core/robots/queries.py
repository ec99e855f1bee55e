"""Reading robots."""

from datetime import datetime

from django.db.models import QuerySet

from core.projects.models import Project
from core.robots import rules
from core.robots.errors import RobotUnknown
from core.robots.models import Robot
from core.robots.types import Permissions, RobotFacts, RobotName
from core.system_settings import queries as system_settings


def robot_name_prefix() -> str:
    """Return what every robot's login name begins with."""
    return system_settings.current().robot_name_prefix


def login_name(robot: Robot) -> str:
    """Return the name the robot logs in with, for example ``robot-library+ci``."""
    project_name = robot.project.name if robot.project is not None else None
    return rules.full_name(robot.name, project_name, prefix=robot_name_prefix())


def find_by_login(login: str) -> Robot | None:
    """Return the robot that logs in with this name, or None."""
    name = rules.parse_full_name(login, prefix=robot_name_prefix())
    return None if name is None else find_robot(name)


def find_robot(name: RobotName) -> Robot | None:
    """Return the robot of that project and name, or None."""
    robots = Robot.objects.select_related("project").filter(name=name.name)
    if name.project_name is None:
        return robots.filter(project=None).first()
    return robots.filter(project__name=name.project_name).first()


def get_robot(robot_id: int) -> Robot:
    """Return the robot with that id. Raises ``RobotUnknown``."""
    robot = Robot.objects.select_related("project").filter(pk=robot_id).first()
    if robot is None:
        raise RobotUnknown
    return robot


def list_robots(project: Project | None) -> QuerySet[Robot]:
    """Return the robots of a project, or of the system, by name."""
    return Robot.objects.select_related("project").filter(project=project).order_by("name", "id")


def permissions_of(robot: Robot) -> Permissions:
    """Return what the robot may do, as sets.

    Projects of a robot of the system that have been deleted since are left out, also when
    another project has taken the name: that one is another tenant's. Robots that name no
    project but their own cost no statement.
    """
    kept = {*robot.permissions} - {*robot.project_ids}
    if robot.project_ids:
        present = Project.objects.filter(pk__in=robot.project_ids.values())
        kept.update(
            name
            for name, project_id in present.values_list("name", "pk")
            if robot.project_ids.get(name) == project_id
        )
    return {
        namespace: frozenset(permissions)
        for namespace, permissions in robot.permissions.items()
        if namespace in kept
    }


def is_usable(robot: Robot, now: datetime) -> bool:
    """Tell whether the robot may act at that moment: neither disabled nor expired."""
    return rules.is_usable(facts_of(robot), now)


def facts_of(robot: Robot) -> RobotFacts:
    """Return what a login of the robot is decided by."""
    previous = robot.previous_secret_hash
    return RobotFacts(
        id=robot.pk,
        label=login_name(robot),
        secret_hash=bytes(robot.secret_hash),
        previous_secret_hash=None if previous is None else bytes(previous),
        previous_valid_until=robot.previous_valid_until,
        is_disabled=robot.is_disabled,
        expires_at=robot.expires_at,
        last_used_at=robot.last_used_at,
    )
