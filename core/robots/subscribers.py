"""What the feature listens to."""

from core.events.types import Subscription
from core.projects.events import ProjectDeleted
from core.rbac.types import Actor
from core.robots.services import forget_project


def on_project_deleted(event: ProjectDeleted) -> None:
    """Take the project out of the robots of the system."""
    forget_project(event.project_name, project_id=event.project_id, actor=Actor.system())


SUBSCRIPTIONS = (Subscription(ProjectDeleted, on_project_deleted),)
