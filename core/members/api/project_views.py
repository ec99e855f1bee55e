"""Projects as their users see them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.allowlists.api.serializers import (
    ProjectWithAllowlistRequestSerializer,
    wanted_allowlist,
)
from core.allowlists.types import WantedAllowlist
from core.api.documentation import operation
from core.api.errors import NotFound, UnprocessableEntity
from core.api.flags import header_flag
from core.api.permissions import Access, Deferred, Filtered, SignedIn
from core.api.views import ManagementView
from core.members import queries, services
from core.members.api.filters import (
    PROJECT_LISTING,
    ProjectFilter,
    project_context,
    visible_projects,
)
from core.members.api.serializers import (
    DeletableSerializer,
    ProjectSummarySerializer,
)
from core.projects.api.scope import ProjectView
from core.projects.api.serializers import ProjectSerializer, ensure_supported
from core.projects.services import delete_project
from core.quotas.queries import usage_of
from core.rbac.services import allowed
from core.rbac.types import ActorKind, Target


class ProjectsView(ManagementView):
    """All projects that the caller may see."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Filtered("project:list", "everyone sees public projects, members their own"),
        "HEAD": SignedIn("project:read", "only the caller's visible projects are looked at"),
        "POST": Deferred("project:create", "users may create projects, robots need the right"),
    }

    @operation(
        "List projects",
        tag="projects",
        answer=ProjectSerializer,
        is_list=True,
        has_query=True,
        parameters=[
            OpenApiParameter("name", str, description="Part of the name."),
            OpenApiParameter("public", bool, description="Only public or only private ones."),
            OpenApiParameter("owner", str, description="Name of the owner."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return the visible projects by name."""
        return self.page(
            visible_projects(self.actor),
            ProjectSerializer,
            PROJECT_LISTING,
            lambda projects: project_context(self.actor, projects, is_list=True),
            parameters=ProjectFilter,
        )

    @operation(
        "Check that a project exists",
        tag="projects",
        parameters=[OpenApiParameter("project_name", str, required=True)],
    )
    def head(self, request: Request) -> Response:
        """Answer 200 when the caller sees a project of that name, else 404."""
        name = request.query_params.get("project_name", "")
        if not name:
            raise UnprocessableEntity("project_name in query is required.")
        if not visible_projects(self.actor).filter(name=name).exists():
            raise NotFound
        return self.done()

    @operation(
        "Create a project",
        tag="projects",
        body=ProjectWithAllowlistRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        """Create an empty project whose creator administers it."""
        self._authorize_creation()
        wanted = self.parse(ProjectWithAllowlistRequestSerializer)
        ensure_supported(wanted)
        project = services.create_project_with_owner(
            wanted.get("project_name") or "",
            is_public=bool(wanted.get("public")),
            metadata=wanted.get("metadata"),
            allowlist=_allowlist_in(wanted),
            storage_limit=wanted.get("storage_limit"),
            actor=self.actor,
        )
        by_name = header_flag(request, "X-Resource-Name-In-Location")
        return self.created(project.name if by_name else project.pk)

    def _authorize_creation(self) -> None:
        if self.actor.kind is not ActorKind.USER:
            self.authorize("project:create", Target.of_system())
            return
        self.authorize_signed_in("project:create")


class ProjectDetailView(ProjectView):
    """One project."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "project:read",
        "PUT": "project:update",
        "DELETE": "project:delete",
    }

    @operation("Get a project", tag="projects", answer=ProjectSerializer)
    def get(self, request: Request, project: str) -> Response:
        """Return the project with the caller's roles in it."""
        context = project_context(self.actor, [self.project])
        return Response(ProjectSerializer(self.project, context=dict(context)).data)

    @operation("Update a project", tag="projects", body=ProjectWithAllowlistRequestSerializer)
    def put(self, request: Request, project: str) -> Response:
        """Change visibility, metadata and the allowlist; what the body leaves out stays."""
        wanted = self.parse(ProjectWithAllowlistRequestSerializer)
        ensure_supported(wanted)
        services.update_project_and_allowlist(
            self.project,
            is_public=wanted.get("public"),
            metadata=wanted.get("metadata"),
            allowlist=_allowlist_in(wanted),
            actor=self.actor,
        )
        return self.done()

    @operation("Delete a project", tag="projects", errors=(412,))
    def delete(self, request: Request, project: str) -> Response:
        """Delete a project without repositories."""
        delete_project(self.project, actor=self.actor)
        return self.done()


class ProjectDeletableView(ProjectView):
    """Whether a project could be deleted now."""

    access: ClassVar[dict[str, Access]] = {"GET": "project:delete"}

    @operation("Check that a project can be deleted", tag="projects", answer=DeletableSerializer)
    def get(self, request: Request, project: str) -> Response:
        """Say yes, or why not."""
        counts = project_context(self.actor, [self.project])["repositories"]
        number = counts[self.project.pk]
        message = f"the project contains {number} repositories" if number else ""
        return Response(DeletableSerializer({"deletable": not number, "message": message}).data)


class ProjectSummaryView(ProjectView):
    """A project in numbers."""

    access: ClassVar[dict[str, Access]] = {"GET": "project:read"}

    @operation("Get a project's summary", tag="projects", answer=ProjectSummarySerializer)
    def get(self, request: Request, project: str) -> Response:
        """Count repositories; members and bytes for those who may see them."""
        summary: dict[str, Any] = {
            "repositories": project_context(self.actor, [self.project])["repositories"][
                self.project.pk
            ],
            "members": {},
        }
        if allowed(self.actor, "member:list", self.target):
            summary["members"] = queries.count_members_by_role(self.project)
        if allowed(self.actor, "quota:read", self.target):
            summary["quota"] = usage_of(self.project)
        return Response(ProjectSummarySerializer(summary).data)


def _allowlist_in(wanted: Mapping[str, Any]) -> WantedAllowlist | None:
    """Return the project's own allowlist as a request wants it, None when it says nothing."""
    body = wanted.get("cve_allowlist")
    return None if body is None else wanted_allowlist(body)
