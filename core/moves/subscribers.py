"""What the feature listens to."""

from core.artifacts.services.naming import end_redirects_of_name
from core.events.types import Subscription
from core.projects.events import ProjectDeleted


def on_project_deleted(event: ProjectDeleted) -> None:
    """Keep redirects that the project had ended by taking their name from coming back."""
    end_redirects_of_name(event.project_name, except_project_id=event.project_id)


SUBSCRIPTIONS = (Subscription(ProjectDeleted, on_project_deleted),)
