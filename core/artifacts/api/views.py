"""Repositories, and the history of tags."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access, Filtered
from core.api.views import ManagementView
from core.artifacts.api.bulk import repository_context
from core.artifacts.api.filters import (
    HISTORY_LISTING,
    NAMELESS_HISTORY_LISTING,
    REPOSITORY_LISTING,
    visible_repositories,
)
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.api.serializers import (
    NamelessTagPeriodSerializer,
    RepositorySerializer,
    RepositoryUpdateSerializer,
    TagExpirySerializer,
    TagPeriodSerializer,
)
from core.artifacts.errors import ManifestUnknown
from core.artifacts.models import Repository, Tag
from core.artifacts.rules import parse_life
from core.artifacts.services.expiry import set_tag_expiry
from core.artifacts.services.repositories import delete_repository, update_repository
from core.common.clock import now
from core.oci.reference import parse_tag
from core.projects.api.scope import ProjectView
from core.rbac.services import allowed


class RepositoriesView(ManagementView):
    """Every repository that the caller may list."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Filtered("repository:list", "everyone sees what public projects hold")
    }

    @operation(
        "List all repositories",
        tag="repositories",
        answer=RepositorySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request) -> Response:
        """Return repositories by name."""
        return self.page(
            visible_repositories(self.actor),
            RepositorySerializer,
            REPOSITORY_LISTING,
            repository_context,
        )


class ProjectRepositoriesView(ProjectView):
    """The repositories of a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "repository:list"}
    names_by_id = False

    @operation(
        "List repositories",
        tag="repositories",
        answer=RepositorySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str) -> Response:
        """Return repositories by name."""
        return self.page(
            Repository.objects.filter(project=self.project),
            RepositorySerializer,
            REPOSITORY_LISTING,
            repository_context,
        )


class RepositoryView(RepositoryScopedView):
    """One repository."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "repository:read",
        "PUT": "repository:update",
        "DELETE": "repository:delete",
    }
    moved_by_use = frozenset({"pull_count"})

    @operation("Get a repository", tag="repositories", answer=RepositorySerializer)
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return the repository."""
        context = dict(repository_context([self.repository]))
        return Response(RepositorySerializer(self.repository, context=context).data)

    @operation("Update a repository", tag="repositories", body=RepositoryUpdateSerializer)
    def put(self, request: Request, project_name: str, repository: str) -> Response:
        """Replace the description; one that is left out is empty."""
        wanted = self.parse(RepositoryUpdateSerializer)
        update_repository(self.full_name, description=wanted["description"], actor=self.actor)
        return self.done()

    @operation("Delete a repository", tag="repositories")
    def delete(self, request: Request, project_name: str, repository: str) -> Response:
        """Delete the repository with everything in it."""
        delete_repository(self.full_name, actor=self.actor)
        return self.done()


class TagHistoryView(RepositoryScopedView):
    """What a tag named, when, and who made it so."""

    access: ClassVar[dict[str, Access]] = {"GET": "tag:list"}

    @operation(
        "List a tag's history",
        tag="repositories",
        answer=TagPeriodSerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str, repository: str, tag: str) -> Response:
        """Return the periods, the latest first; 404 for a name that was never a tag.

        Who changed the tag is shown to those who may list the members of the project.
        """
        periods = Tag.objects.filter(repository_id=self.repository_id, name=tag)
        if not periods.exists():
            raise ManifestUnknown(f"{self.full_name} never had a tag {parse_tag(tag)}.")
        if allowed(self.actor, "member:list", self.target):
            return self.page(periods, TagPeriodSerializer, HISTORY_LISTING)
        return self.page(periods, NamelessTagPeriodSerializer, NAMELESS_HISTORY_LISTING)


class TagExpiryView(RepositoryScopedView):
    """When a tag ends by itself."""

    access: ClassVar[dict[str, Access]] = {"PUT": "tag:delete"}
    exact = frozenset({"PUT"})

    @operation("Set a tag's expiry", tag="repositories", body=TagExpirySerializer, errors=(412,))
    def put(self, request: Request, project_name: str, repository: str, tag: str) -> Response:
        """Let the tag end at a time to come, or never."""
        wanted = self.parse(TagExpirySerializer)
        life = wanted.get("expires_after")
        expires_at = wanted.get("expires_at") if life is None else now() + parse_life(life)
        set_tag_expiry(self.full_name, tag, expires_at, actor=self.actor)
        return self.done()
