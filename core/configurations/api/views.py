"""Run-time settings."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.parsers import members_of
from core.api.permissions import Access
from core.api.views import ManagementView
from core.configurations.api.serializers import (
    ConfigurationsRequestSerializer,
    ConfigurationsSerializer,
    shown,
)
from core.configurations.services import update_settings
from core.system_settings.queries import committed
from core.system_settings.services import lock_settings


class ConfigurationsView(ManagementView):
    """All run-time settings."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "configuration:read",
        "PUT": "configuration:update",
    }

    def hold(self) -> None:
        """Keep the settings as they are; a change that is under way is waited for."""
        lock_settings()

    @operation("Get the configuration", tag="configurations", answer=ConfigurationsSerializer)
    def get(self, request: Request) -> Response:
        """Return every key with its value and whether it can be changed; secrets are left out."""
        return Response(shown(committed()))

    @operation(
        "Update the configuration",
        tag="configurations",
        body=ConfigurationsRequestSerializer,
        errors=(409,),
    )
    def put(self, request: Request) -> Response:
        """Change what the body names, all of it or nothing."""
        update_settings(members_of(request.data), actor=self.actor)
        return self.done()
