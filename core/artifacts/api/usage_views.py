"""How often artifacts are pulled: by day, tag or family of clients."""

from datetime import date
from typing import Any, ClassVar

from django.db.models import F, QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest
from core.api.permissions import Access
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.models import PullUsage
from core.common.clock import now
from core.projects.api.scope import ProjectView

DEFAULT_DAYS = 30
_COLUMNS = {
    "day": F("day"),
    "tag": F("tag_name"),
    "client": F("client"),
    "repository": Coalesce("repository__name", Value("")),
}


class UsageSerializer(serializers.Serializer[Any]):
    """Pulls of one day, tag, client or repository, whichever they are grouped by."""

    day = serializers.DateField(required=False)
    tag = serializers.CharField(required=False, help_text="Empty for pulls by digest.")
    client = serializers.CharField(required=False)
    repository = serializers.CharField(required=False, help_text="Empty for all that were deleted.")
    pulls = serializers.IntegerField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Render a group under the name that the context has as ``group``."""
        label = instance["label"]
        return {
            self.context["group"]: label.isoformat() if isinstance(label, date) else label,
            "pulls": instance["total"],
        }


def _parameters(*groups: str) -> list[OpenApiParameter]:
    return [
        OpenApiParameter("from", date, description="First day, in UTC; 29 days before the last."),
        OpenApiParameter("to", date, description="Last day, in UTC; today unless given."),
        OpenApiParameter("group_by", str, description="What to count by.", enum=groups),
    ]


_OF_REPOSITORY = ("day", "tag", "client")
_OF_PROJECT = ("day", "repository", "client")


class RepositoryUsageView(RepositoryScopedView):
    """The pulls of a repository."""

    access: ClassVar[dict[str, Access]] = {"GET": "repository:read"}

    @operation(
        "List the usage of a repository",
        tag="repositories",
        answer=UsageSerializer,
        is_list=True,
        parameters=_parameters(*_OF_REPOSITORY),
    )
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return days in their order, tags and clients by their pulls, the most first."""
        usage = PullUsage.objects.filter(repository=self.repository)
        group = _group(request, _OF_REPOSITORY)
        rows = _grouped(usage, request, group)
        return self.page(rows, UsageSerializer, context=lambda _rows: {"group": group})


class ProjectUsageView(ProjectView):
    """The pulls of all repositories of a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "repository:list"}

    @operation(
        "List the usage of a project",
        tag="projects",
        answer=UsageSerializer,
        is_list=True,
        parameters=_parameters(*_OF_PROJECT),
    )
    def get(self, request: Request, project: str) -> Response:
        """Return days in their order, repositories and clients by their pulls, the most first."""
        usage = PullUsage.objects.filter(project=self.project)
        group = _group(request, _OF_PROJECT)
        rows = _grouped(usage, request, group)
        return self.page(rows, UsageSerializer, context=lambda _rows: {"group": group})


def _group(request: Request, groups: tuple[str, ...]) -> str:
    """Return what to group by. Raises ``BadRequest``."""
    group = str(request.query_params.get("group_by", "day"))
    if group not in groups:
        raise BadRequest(f"group_by must be {', '.join(groups[:-1])} or {groups[-1]}.")
    return group


def _grouped(usage: "QuerySet[PullUsage]", request: Request, group: str) -> "QuerySet[Any, Any]":
    """Add up the pulls of the days that are asked for. Raises ``BadRequest``."""
    last = _day(request, "to") or now().date()
    earliest = max(date.min.toordinal(), last.toordinal() - DEFAULT_DAYS + 1)
    first = _day(request, "from") or date.fromordinal(earliest)
    if first > last:
        raise BadRequest("from must not be later than to.")
    counted = usage.filter(day__gte=first, day__lte=last)
    rows = counted.values(label=_COLUMNS[group]).annotate(total=Sum("pulls"))
    return rows.order_by("label") if group == "day" else rows.order_by("-total", "label")


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{name} must be a day such as 2026-01-31.") from error
