"""Renaming projects, transferring repositories, and the former names of these."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.api.views import RepositoryView
from core.members.api.project_views import ProjectDetailView
from core.moves import services
from core.moves.api.filters import REDIRECT_LISTING, visible_redirects
from core.moves.api.serializers import (
    MovedSerializer,
    ProjectRenameSerializer,
    RedirectSerializer,
    RepositoryTransferSerializer,
)
from core.projects.api.scope import ProjectView
from core.projects.errors import ProjectUnknown
from core.projects.queries import find_project, target_of
from core.rbac.types import Target


class ProjectRenameView(ProjectView):
    """The name of a project."""

    access: ClassVar[dict[str, Access]] = {"POST": "project:update"}
    exact = frozenset({"POST"})
    changes = ProjectDetailView

    @operation(
        "Rename a project",
        tag="projects",
        body=ProjectRenameSerializer,
        answer=MovedSerializer,
        errors=(409,),
    )
    def post(self, request: Request, project: str) -> Response:
        """Give the project another name; pulls by the old one go on."""
        name = self.parse(ProjectRenameSerializer)["project_name"]
        renamed = services.rename_project(self.project, name, actor=self.actor)
        return Response(MovedSerializer({"name": renamed.name}).data)


class RepositoryTransferView(RepositoryScopedView):
    """The project of a repository."""

    access: ClassVar[dict[str, Access]] = {"POST": "repository:delete"}
    exact = frozenset({"POST"})
    changes = RepositoryView

    @operation(
        "Transfer a repository",
        tag="repositories",
        body=RepositoryTransferSerializer,
        answer=MovedSerializer,
        errors=(409, 412),
    )
    def post(self, request: Request, project_name: str, repository: str) -> Response:
        """Move the repository; takes ``repository:create`` in the other project as well."""
        wanted = self.parse(RepositoryTransferSerializer)
        name = wanted.get("project") or project_name
        project = find_project(name)
        self.authorize(
            "repository:create",
            Target(project_name=name) if project is None else target_of(project),
        )
        if project is None:
            raise ProjectUnknown
        moved = services.transfer_repository(
            self.full_name, project, path=wanted.get("repository"), actor=self.actor
        )
        return Response(MovedSerializer({"name": moved}).data)


class RedirectsView(RepositoryScopedView):
    """The former names of a repository."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "repository:read",
        "DELETE": "repository:delete",
    }
    exact = frozenset({"DELETE"})

    @operation(
        "List a repository's former names",
        tag="repositories",
        answer=RedirectSerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return the names by which pulls still find it, in projects that the caller sees."""
        redirects = visible_redirects(self.actor, self.repository_id, self.existing_project_id)
        return self.page(redirects, RedirectSerializer, REDIRECT_LISTING)

    @operation("End the redirects to a repository", tag="repositories")
    def delete(self, request: Request, project_name: str, repository: str) -> Response:
        """Let pulls by former names find nothing any more."""
        services.end_redirects(self.full_name, actor=self.actor)
        return self.done()
