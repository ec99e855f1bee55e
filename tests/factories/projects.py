"""Projects and repositories with explicit values."""

from core.artifacts.models import Repository
from core.common.clock import now
from core.projects.models import Project


def make_project(name: str = "library", *, is_public: bool = False) -> Project:
    """Store a project without members."""
    at = now()
    return Project.objects.create(
        name=name, is_public=is_public, owner_name="system", created_at=at, updated_at=at
    )


def make_repository(project: Project, path: str = "app") -> Repository:
    """Store an empty repository of the project."""
    at = now()
    return Repository.objects.create(
        project=project, name=f"{project.name}/{path}", created_at=at, updated_at=at
    )
