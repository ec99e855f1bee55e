"""Additions of artifacts, and icons."""

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from core.additions.queries import read_addition
from core.api.documentation import operation
from core.api.errors import NotFound
from core.api.permissions import Access, Public
from core.api.views import ManagementView
from core.artifacts.api.scope import RepositoryScopedView
from core.oci.digest import Digest


class AdditionView(RepositoryScopedView):
    """One addition of an artifact."""

    access: ClassVar[dict[str, Access]] = {"GET": "artifact-addition:read"}

    @operation(
        "Get an addition of an artifact",
        tag="artifacts",
        answer=OpenApiTypes.ANY,
        media_type="*/*",
        errors=(412,),
    )
    def get(
        self,
        request: Request,
        project_name: str,
        repository: str,
        reference: str,
        addition: str,
    ) -> HttpResponse:
        """Return the content as it is, with its own type; JSON for what is put together."""
        found = read_addition(self.manifest, addition)
        response = HttpResponse(found.content, content_type=found.media_type)
        # Whoever pushed it chose the content: no browser is to run it.
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response


class VulnerabilitiesView(RepositoryScopedView):
    """Reports on the vulnerabilities of an artifact, by their media types."""

    access: ClassVar[dict[str, Access]] = {"GET": "artifact-addition:read"}

    @operation("Get an artifact's vulnerabilities", tag="artifacts", answer=OpenApiTypes.OBJECT)
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return no report: nothing is scanned yet."""
        _ = self.manifest
        return Response({})


class IconView(ManagementView):
    """An icon of an artifact."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Public("Harbor's clients ask without credentials, and there are no icons")
    }

    @operation("Get an icon", tag="artifacts", answer=OpenApiTypes.OBJECT)
    def get(self, request: Request, digest: str) -> Response:
        """Raise ``NotFound``: no icons are kept. Raises ``DigestInvalid`` for no digest."""
        raise NotFound(f"There is no icon {Digest.parse(digest)}.")
