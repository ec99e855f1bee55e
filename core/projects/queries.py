"""Reading projects."""

from django.db.models import QuerySet

from core.projects import rules
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.rbac.types import Target


def find_project(name: str) -> Project | None:
    """Return the project of that name, or None."""
    if not rules.is_valid_name(name):
        return None
    return Project.objects.filter(name=name).first()


def get_project(name: str) -> Project:
    """Return the project of that name. Raises ``ProjectUnknown``."""
    project = find_project(name)
    if project is None:
        raise ProjectUnknown
    return project


def get_project_by_id(project_id: int) -> Project:
    """Return the project with that id. Raises ``ProjectUnknown``."""
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        raise ProjectUnknown
    return project


def list_projects() -> QuerySet[Project]:
    """Return every project by name; callers narrow it to what the actor may see."""
    return Project.objects.order_by("name")


def metadata_of(project: Project) -> dict[str, str]:
    """Return the metadata as clients see them, with visibility among them."""
    return {rules.PUBLIC: "true" if project.is_public else "false", **project.metadata}


def target_of(project: Project) -> Target:
    """Return the project as the permission evaluator sees it."""
    return Target(project_id=project.pk, project_name=project.name, is_public=project.is_public)
