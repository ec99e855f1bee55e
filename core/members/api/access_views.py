"""What the caller may do, and the log of what happened where the caller may look."""

import re
from functools import partial
from typing import ClassVar

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest
from core.api.fields import ResponseSerializer
from core.api.flags import flag
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView
from core.audit.models import AuditEntry
from core.members.api.filters import projects_where
from core.projects.api.audit_filters import AUDIT_LISTING, EVENT_TYPES, count_entries
from core.projects.api.audit_serializers import (
    AuditEntrySerializer,
    AuditEventTypeSerializer,
)
from core.projects.models import Project
from core.projects.queries import target_of
from core.rbac.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from core.rbac.services import allowed, allowed_among
from core.rbac.types import Actor, Target

_SCOPE = re.compile(r"/project(?:/([^/]{1,255}))?/?")


class OwnPermissionSerializer(ResponseSerializer):
    """One permission of the caller."""

    resource = serializers.CharField()
    action = serializers.CharField()


class OwnPermissionsView(ManagementView):
    """The caller's permissions in the system or in one project."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("project:read", "everyone may know their own permissions")
    }

    @operation(
        "List the caller's permissions",
        tag="users",
        answer=OwnPermissionSerializer(many=True),
        parameters=[
            OpenApiParameter("scope", str, description="/project/{id}, or nothing: the system."),
            OpenApiParameter("relative", bool, description="Resources without the scope."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return resource and action of every permission held."""
        scope = request.query_params.get("scope", "").rstrip("/")
        is_relative = flag(request, "relative", default=False)
        held = _held(self.actor, scope)
        prefix = "" if is_relative or not scope else f"{scope}/"
        rows = [
            {"resource": prefix + resource, "action": action}
            for resource, action in sorted(name.split(":", 1) for name in held)
        ]
        return Response(OwnPermissionSerializer(rows, many=True).data)


class AuditLogView(ManagementView):
    """What happened, as far as the caller may look."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("audit-log:list", "others than administrators see their own projects")
    }

    @operation(
        "List the audit log",
        tag="audit",
        answer=AuditEntrySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request) -> Response:
        """Return the newest entries first."""
        entries, projects = AuditEntry.objects.all(), None
        if not allowed(self.actor, "audit-log:list", Target.of_system()):
            projects = projects_where(self.actor, "log:list")
            entries = entries.filter(project_id__in=projects)
        return self.page(
            entries,
            AuditEntrySerializer,
            AUDIT_LISTING,
            details=AuditEntry.objects.all(),
            count=partial(count_entries, projects=projects),
        )


class AuditEventTypesView(ManagementView):
    """What Harbor's clients call the events of the log."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("audit-log:list", "the vocabulary is documentation and names nobody")
    }

    @operation(
        "List event types of the audit log",
        tag="audit",
        answer=AuditEventTypeSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Return each as operation and type of the resource, joined by an underscore."""
        rows = [{"event_type": name} for name in EVENT_TYPES]
        return Response(AuditEventTypeSerializer(rows, many=True).data)


class DeprecatedAuditLogView(AuditLogView):
    """The same under the name that older clients use."""

    @operation(
        "List the log", tag="audit", answer=AuditEntrySerializer, is_list=True, has_query=True
    )
    def get(self, request: Request) -> Response:
        """Return the newest entries first."""
        return super().get(request)


def _held(actor: Actor, scope: str) -> frozenset[str]:
    if not scope:
        return allowed_among(actor, SYSTEM_PERMISSIONS, Target.of_system())
    match = _SCOPE.fullmatch(scope)
    if match is None or match[1] is None:
        raise BadRequest("scope must look like /project/1.")
    text = match[1]
    is_id = text.isascii() and text.isdigit() and len(text) < 19
    wanted = Q(pk=int(text)) if is_id else Q(name=text)
    project = Project.objects.filter(wanted).first()
    if project is None:
        return frozenset()
    return allowed_among(actor, PROJECT_PERMISSIONS, target_of(project))
