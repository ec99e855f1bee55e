"""Quotas of projects."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.api.views import ManagementView
from core.quotas import queries, services
from core.quotas.api.filters import QUOTA_LISTING, QuotaFilter
from core.quotas.api.serializers import QuotaSerializer, QuotaUpdateSerializer, wanted_limit


class QuotasView(ManagementView):
    """The quotas of all projects."""

    access: ClassVar[dict[str, Access]] = {"GET": "quota:list"}

    @operation(
        "List quotas",
        tag="quotas",
        answer=QuotaSerializer,
        is_list=True,
        has_query=True,
        parameters=[
            OpenApiParameter("reference", str, description="What the quotas are of: project."),
            OpenApiParameter("reference_id", str, description="Id of the project."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return the quotas, the newest first; sort=hard.storage or -used.storage too."""
        return self.page(
            queries.list_quotas(), QuotaSerializer, QUOTA_LISTING, parameters=QuotaFilter
        )


class QuotaView(ManagementView):
    """One quota."""

    access: ClassVar[dict[str, Access]] = {"GET": "quota:read", "PUT": "quota:update"}

    @operation("Get a quota", tag="quotas", answer=QuotaSerializer)
    def get(self, request: Request, quota_id: int) -> Response:
        """Return the quota."""
        return Response(QuotaSerializer(queries.get_quota(quota_id)).data)

    @operation("Update a quota", tag="quotas", body=QuotaUpdateSerializer)
    def put(self, request: Request, quota_id: int) -> Response:
        """Change the limit; -1 takes it away."""
        quota = queries.get_quota(quota_id)
        wanted = wanted_limit(self.parse(QuotaUpdateSerializer))
        services.set_limit(quota, wanted, actor=self.actor)
        return self.done()
