"""The CVE allowlist of the system."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.allowlists.api.serializers import (
    AllowlistRequestSerializer,
    AllowlistSerializer,
    wanted_allowlist,
)
from core.allowlists.models import CVEAllowlist
from core.allowlists.queries import find_allowlist
from core.allowlists.services import replace_system_allowlist
from core.api.documentation import operation
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView


class SystemAllowlistView(ManagementView):
    """The vulnerabilities that every project accepts unless it has a list of its own."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("configuration:read", "it counts in every project that reuses it"),
        "PUT": "configuration:update",
    }

    @operation("Get the system's CVE allowlist", tag="allowlists", answer=AllowlistSerializer)
    def get(self, request: Request) -> Response:
        """Return the list; an empty one when it was never written."""
        row = find_allowlist(None) or CVEAllowlist()
        return Response(AllowlistSerializer(row).data)

    @operation(
        "Update the system's CVE allowlist", tag="allowlists", body=AllowlistRequestSerializer
    )
    def put(self, request: Request) -> Response:
        """Replace the whole list."""
        wanted = wanted_allowlist(self.parse(AllowlistRequestSerializer))
        replace_system_allowlist(wanted, actor=self.actor)
        return self.done()
