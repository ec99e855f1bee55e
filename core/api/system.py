"""Routes about the installation itself: is it there, is it well, what does it offer."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar
from uuid import UUID

import structlog
from django.conf import settings
from django.core.cache import cache as hints
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import NotFound, envelope
from core.api.fields import ResponseSerializer, timestamp
from core.api.permissions import Access, Public, SignedIn
from core.api.views import ManagementView
from core.common.clock import now
from core.database import raw
from core.rbac.permissions import (
    PROJECT_ROBOT_PERMISSIONS,
    SYSTEM_ROBOT_PERMISSIONS,
)
from core.storage.keys import key_for_upload
from core.storage.selection import default_driver, drivers, provider
from core.system_settings.queries import committed as committed_settings
from core.system_settings.types import FIXED, Settings

log = structlog.get_logger(__name__)

HARBOR_LEVEL = "v2.14.0"
"""The release of Harbor whose API this one follows; clients parse it to adapt themselves."""
API_VERSION = "v2.0"


class ComponentSerializer(ResponseSerializer):
    """The state of one part of the installation."""

    name = serializers.CharField()
    status = serializers.ChoiceField(["healthy", "unhealthy"])
    error = serializers.CharField()


class HealthSerializer(ResponseSerializer):
    """The state of the installation."""

    status = serializers.ChoiceField(["healthy", "unhealthy"])
    components = ComponentSerializer(many=True)


class SystemInfoSerializer(ResponseSerializer):
    """What clients may know of the installation; the second half only when signed in."""

    always = frozenset({"self_registration", "primary_auth_mode", "auth_mode"})

    auth_mode = serializers.CharField()
    primary_auth_mode = serializers.BooleanField()
    self_registration = serializers.BooleanField()
    banner_message = serializers.CharField()
    harbor_version = serializers.CharField(default="")
    registry_url = serializers.CharField(default="")
    external_url = serializers.CharField(default="")
    project_creation_restriction = serializers.CharField(default="")
    registry_storage_provider_name = serializers.CharField(default="")
    has_ca_root = serializers.BooleanField(default=False)
    # A name that Field uses for itself, on the wire since Harbor 1.
    read_only = serializers.BooleanField(default=False)  # type: ignore[assignment]
    notification_enable = serializers.BooleanField(default=False)
    current_time = serializers.CharField(default="")


class PermissionSerializer(ResponseSerializer):
    """One permission: a resource and an action."""

    resource = serializers.CharField()
    action = serializers.CharField()


class PermissionsSerializer(ResponseSerializer):
    """What robots may hold."""

    always = frozenset({"system", "project"})

    system = PermissionSerializer(many=True)
    project = PermissionSerializer(many=True)


class VolumeSerializer(ResponseSerializer):
    """The room of one storage, in bytes."""

    always = frozenset({"total", "free"})

    total = serializers.IntegerField()
    free = serializers.IntegerField()


class VolumesSerializer(ResponseSerializer):
    """Harbor's ``SystemInfo``."""

    always = frozenset({"storage"})

    storage = VolumeSerializer(many=True)


class PingView(ManagementView):
    """Says that the server answers."""

    access: ClassVar[dict[str, Access]] = {"GET": Public("clients test the address with it")}

    @operation("Ping the server", tag="system", answer=OpenApiTypes.STR, media_type="text/plain")
    def get(self, request: Request) -> HttpResponse:
        """Answer the text ``Pong``."""
        return HttpResponse("Pong", content_type="text/plain; charset=utf-8")


class HealthView(ManagementView):
    """Says which parts work; 200 even when one does not."""

    access: ClassVar[dict[str, Access]] = {"GET": Public("monitoring has no credentials")}

    @operation("Get the health of the components", tag="system", answer=HealthSerializer)
    def get(self, request: Request) -> Response:
        """Probe the components."""
        return Response(HealthSerializer(health()).data)


class SystemInfoView(ManagementView):
    """General information."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Public("login pages and clients read it first; anonymous callers get less")
    }

    @operation("Get general information", tag="system", answer=SystemInfoSerializer)
    def get(self, request: Request) -> Response:
        """Return what the caller may know."""
        changeable = committed_settings()
        info: dict[str, Any] = {
            "auth_mode": FIXED["auth_mode"],
            "primary_auth_mode": FIXED["primary_auth_mode"],
            "self_registration": changeable.self_registration,
            "banner_message": changeable.banner_message,
        }
        if not self.actor.is_anonymous:
            info |= _details(request, changeable)
        return Response(SystemInfoSerializer(info).data)


class VolumesView(ManagementView):
    """How much room the storage has."""

    access: ClassVar[dict[str, Access]] = {"GET": "system-volumes:read"}

    @operation("Get the room of the storage", tag="system", answer=VolumesSerializer)
    def get(self, request: Request) -> Response:
        """Return total and free bytes of the storage directory; nothing for a bucket."""
        driver = default_driver()
        total, free = driver.total_bytes(), driver.free_bytes()
        known = total is not None and free is not None
        volumes = [{"total": total, "free": free}] if known else []
        return Response(VolumesSerializer({"storage": volumes}).data)


class CertificateView(ManagementView):
    """The certificate of the authority that signed the server's own."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Public("clients need the certificate before they can trust any answer")
    }

    @operation("Get the authority's certificate", tag="system", answer=OpenApiTypes.BINARY)
    def get(self, request: Request) -> Response:
        """Raise ``NotFound``: TLS ends in front of the server, which has no such file."""
        raise NotFound("There is no certificate of an authority to download.")


class PermissionsView(ManagementView):
    """The permissions that robots may be given."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("project:read", "the vocabulary is documentation and names nobody")
    }

    @operation("List the permissions of robots", tag="system", answer=PermissionsSerializer)
    def get(self, request: Request) -> Response:
        """Return both vocabularies; the system's only for system administrators."""
        system = SYSTEM_ROBOT_PERMISSIONS if self.actor.is_system_admin else frozenset[str]()
        return Response(
            PermissionsSerializer(
                {"system": split(system), "project": split(PROJECT_ROBOT_PERMISSIONS)}
            ).data
        )


class OpenAPIView(ManagementView):
    """The description of this API."""

    access: ClassVar[dict[str, Access]] = {"GET": Public("documentation names no data")}

    @operation("Get the OpenAPI document", tag="system", answer=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Return the document, built once in each process."""
        return Response(openapi_document())


@csrf_exempt
def api_version(request: HttpRequest) -> HttpResponse:
    """Return the version of the API, which Harbor's own clients and replication ask for."""
    if request.method not in ("GET", "HEAD"):
        return JsonResponse(envelope(405, "Only GET is allowed."), status=405)
    return JsonResponse({"version": API_VERSION})


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of every route."""
    # drf-spectacular annotates next to nothing.
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # no hints there
    document: dict[str, Any] = generator.get_schema(  # type: ignore[no-untyped-call]
        request=None, public=True
    )
    return document


def split(permissions: frozenset[str]) -> list[dict[str, str]]:
    """Return permission names as resource and action, in order."""
    return [
        dict(zip(("resource", "action"), name.split(":", 1), strict=True))
        for name in sorted(permissions)
    ]


def health() -> dict[str, Any]:
    """Probe every component. The text of a failure goes to the log, not to the caller."""
    components = [
        _probe("core", lambda: None),
        _probe("database", lambda: raw.fetch_one("SELECT 1")),
        _probe("redis", lambda: hints.get("health")),
        _probe("storage", _look_into_storages),
    ]
    is_healthy = all(component["status"] == "healthy" for component in components)
    return {"status": "healthy" if is_healthy else "unhealthy", "components": components}


def _look_into_storages() -> None:
    for driver in drivers().values():
        driver.stat(key_for_upload(UUID(int=0)))


def _probe(name: str, look: Callable[[], object]) -> dict[str, str]:
    try:
        look()
    except Exception:  # whatever a component throws means that it does not work
        log.warning("component_unhealthy", component=name, exc_info=True)
        return {"name": name, "status": "unhealthy", "error": f"{name} does not work"}
    return {"name": name, "status": "healthy", "error": ""}


def _details(request: Request, changeable: Settings) -> dict[str, Any]:
    external = settings.ROADSTEAD.server.external_url or f"{request.scheme}://{request.get_host()}"
    return {
        "harbor_version": f"{HARBOR_LEVEL}-roadstead-{_product_version()}",
        "registry_url": external.partition("://")[2],
        "external_url": external,
        "project_creation_restriction": changeable.project_creation_restriction,
        "read_only": changeable.read_only,
        "notification_enable": changeable.notification_enable,
        "registry_storage_provider_name": provider(),
        "current_time": timestamp(now()),
    }


@cache
def _product_version() -> str:
    try:
        return version("roadstead")
    except PackageNotFoundError:
        return "development"
