"""Robots with explicit values."""

from collections.abc import Iterable, Mapping

from core.projects.models import Project
from core.rbac.types import Actor
from core.robots.services import NewRobot, create_robot

CONTENT = ("repository:pull", "repository:push")


def make_robot(
    name: str = "ci",
    *,
    project: Project | None,
    permissions: Mapping[str, Iterable[str]] | None = None,
    duration_days: int | None = None,
) -> NewRobot:
    """Create a robot that may pull and push in its project, or everywhere."""
    if permissions is None:
        permissions = {project.name if project is not None else "*": CONTENT}
    return create_robot(
        name,
        project=project,
        permissions=permissions,
        duration_days=duration_days,
        actor=Actor.system(),
    )
