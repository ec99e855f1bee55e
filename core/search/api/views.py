"""Search over names."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import UnprocessableEntity
from core.api.permissions import Access, Filtered
from core.api.views import ManagementView
from core.artifacts.api.bulk import repository_context
from core.members.api.filters import project_context
from core.search.api.serializers import SearchSerializer
from core.search.queries import find_projects, find_repositories

_MAXIMUM_TEXT = 255


class SearchView(ManagementView):
    """Projects and repositories by a part of their name."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Filtered("project:list", "everyone finds what lists would show them")
    }

    @operation(
        "Search projects and repositories",
        tag="search",
        answer=SearchSerializer,
        parameters=[
            OpenApiParameter("q", str, required=True, description="Part of the name, any case.")
        ],
    )
    def get(self, request: Request) -> Response:
        """Return at most 100 of each, the shortest names first."""
        text = request.query_params.get("q")
        if text is None:
            raise UnprocessableEntity("q in query is required.")
        if len(text) > _MAXIMUM_TEXT:
            raise UnprocessableEntity(f"q in query has at most {_MAXIMUM_TEXT} characters.")
        projects = list(find_projects(self.actor, text))
        repositories = list(find_repositories(self.actor, text))
        context = {
            **project_context(self.actor, projects, is_list=True),
            **repository_context(repositories),
        }
        hits = {"projects": projects, "repositories": repositories}
        return Response(SearchSerializer(hits, context=context).data)
