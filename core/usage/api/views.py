"""The storage explorer: what a project, or the registry, holds and what that is made of."""

from dataclasses import replace
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.api.views import ManagementView
from core.members.api.filters import visible_projects
from core.projects.api.scope import ProjectView
from core.quotas.queries import usage_of
from core.rbac.services import allowed
from core.usage import queries
from core.usage.api.filters import DEFAULT_TOP, wanted_top
from core.usage.api.serializers import ProjectStorageSerializer, RegistryStorageSerializer
from core.usage.services import storage_of
from core.usage.types import StorageFigures

_TOP = OpenApiParameter(
    "top", int, description="How many of the largest are listed, 1 to 100.", default=DEFAULT_TOP
)


class StorageView(ManagementView):
    """The storage of the registry."""

    access: ClassVar[dict[str, Access]] = {"GET": "quota:list"}

    @operation(
        "Get the storage of the registry",
        tag="storage",
        answer=RegistryStorageSerializer,
        parameters=[_TOP],
    )
    def get(self, request: Request) -> Response:
        """Return what is held, shared and not needed, with the largest of all."""
        top = wanted_top(request)
        counted = storage_of(None)
        storage = {
            "figures": counted.figures,
            "top_projects": queries.top_projects(top),
            "top_repositories": queries.top_repositories(counted, None, top),
        }
        return Response(RegistryStorageSerializer(storage).data)


class ProjectStorageView(ProjectView):
    """The storage of a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "quota:read"}

    @operation(
        "Get the storage of a project",
        tag="storage",
        answer=ProjectStorageSerializer,
        parameters=[_TOP],
    )
    def get(self, request: Request, project: str) -> Response:
        """Return what it holds; what it shares is told of projects that the caller may see."""
        top = wanted_top(request)
        counted = storage_of(self.project.pk)
        storage: dict[str, Any] = {
            "quota": usage_of(self.project),
            "figures": self._shown(counted.figures),
            "top_repositories": [],
        }
        if allowed(self.actor, "repository:list", self.target):
            storage["top_repositories"] = queries.top_repositories(counted, self.project.pk, top)
        return Response(ProjectStorageSerializer(storage).data)

    def _shown(self, figures: StorageFigures) -> StorageFigures:
        """Return the figures without what the project shares with those hidden from the caller."""
        if self.actor.is_system_admin and self.actor.scope_projects is None:
            return figures
        visible = list(visible_projects(self.actor).order_by().values_list("pk", flat=True))
        return replace(figures, shared_bytes=queries.shared_with(self.project.pk, visible))
