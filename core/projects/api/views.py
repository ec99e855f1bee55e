"""A project's own audit log."""

from functools import partial
from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.audit.models import AuditEntry
from core.projects.api.audit_filters import AUDIT_LISTING, count_entries
from core.projects.api.audit_serializers import AuditEntrySerializer
from core.projects.api.scope import ProjectView


class ProjectLogView(ProjectView):
    """What happened in a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "log:list"}
    names_by_id = False

    @operation(
        "List a project's audit log",
        tag="audit",
        answer=AuditEntrySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str) -> Response:
        """Return the newest entries first."""
        return self.page(
            AuditEntry.objects.filter(project_id=self.project.pk),
            AuditEntrySerializer,
            AUDIT_LISTING,
            details=AuditEntry.objects.all(),
            count=partial(count_entries, projects=[self.project.pk]),
        )


class DeprecatedProjectLogView(ProjectLogView):
    """The same under the name that older clients use."""

    @operation(
        "List a project's log",
        tag="audit",
        answer=AuditEntrySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str) -> Response:
        """Return the newest entries first."""
        return super().get(request, project_name)
