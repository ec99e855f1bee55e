"""Figures of the installation, as far as the caller sees it."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView
from core.rbac.services import allowed
from core.rbac.types import Target
from core.statistics.api.serializers import STORAGE, StatisticSerializer
from core.statistics.queries import count_projects, count_repositories, stored_bytes


class StatisticsView(ManagementView):
    """Numbers of projects and repositories, and what is stored."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("project:list", "only what the caller sees is counted")
    }

    @operation("Get statistics", tag="statistics", answer=StatisticSerializer)
    def get(self, request: Request) -> Response:
        """Count what the caller sees; system administrators also get the bytes of all blobs."""
        public_projects, private_projects = count_projects(self.actor)
        public_repositories, private_repositories = count_repositories(self.actor)
        figures: dict[str, Any] = {
            "public_project_count": public_projects,
            "private_project_count": private_projects,
            "total_project_count": public_projects + private_projects,
            "public_repo_count": public_repositories,
            "private_repo_count": private_repositories,
            "total_repo_count": public_repositories + private_repositories,
        }
        # An administrator's token that is limited to projects does not reach the system.
        reaches_system = allowed(self.actor, "system-volumes:read", Target.of_system())
        if self.actor.is_system_admin and reaches_system:
            figures[STORAGE] = stored_bytes()
        return Response(StatisticSerializer(figures).data)
