"""Labels of projects and of the system."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access, Deferred
from core.api.views import ManagementView
from core.labels import queries, services
from core.labels.api.filters import LABEL_LISTING, LabelFilter, project_of_request
from core.labels.api.serializers import (
    LabelRequestSerializer,
    LabelSerializer,
    ensure_stays,
    wanted_project,
)
from core.labels.errors import LabelUnknown
from core.labels.models import Label
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.queries import target_of
from core.rbac.rules import is_reading
from core.rbac.services import allowed
from core.rbac.types import Target


class LabelsView(ManagementView):
    """The labels of one project, or the global ones."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("label:list", "the query names the scope and the project", is_open=True),
        "POST": Deferred("label:create", "the body names the scope and the project"),
    }

    @operation(
        "List labels",
        tag="labels",
        answer=LabelSerializer,
        is_list=True,
        has_query=True,
        parameters=[
            OpenApiParameter("name", str, description="Part of the name."),
            OpenApiParameter(
                "scope", str, enum=["g", "p"], description="Global labels or those of a project."
            ),
            OpenApiParameter("project_id", int, description="Id of the project of scope p."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return labels by name: global ones to everyone signed in, or those of a project."""
        project_id = project_of_request(request)
        project = None
        if project_id is None:
            self.authorize_signed_in("label:list")
        else:
            project = self._authorized("label:list", project_id)
        return self.page(
            queries.list_labels(project), LabelSerializer, LABEL_LISTING, parameters=LabelFilter
        )

    @operation(
        "Create a label", tag="labels", body=LabelRequestSerializer, status=201, errors=(409,)
    )
    def post(self, request: Request) -> Response:
        """Create a global label, or one of a project."""
        wanted = self.parse(LabelRequestSerializer)
        project_id = wanted_project(wanted)
        project = None
        if project_id is None:
            self.authorize("label:create", Target.of_system())
        else:
            project = self._authorized("label:create", project_id)
        label = services.create_label(
            wanted["name"],
            project=project,
            description=wanted["description"],
            color=wanted["color"],
            actor=self.actor,
        )
        return self.created(label.pk)

    def _authorized(self, permission: str, project_id: int) -> Project:
        """Return the project. Raises ``ProjectUnknown`` only for those who may know."""
        project = Project.objects.filter(pk=project_id).first()
        missing = Target(project_name=str(project_id))
        self.authorize(permission, missing if project is None else target_of(project))
        if project is None:
            raise ProjectUnknown
        return project


class LabelView(ManagementView):
    """One label."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("label:read", "the label's own project decides", is_open=True),
        "PUT": Deferred("label:update", "the label's own project decides"),
        "DELETE": Deferred("label:delete", "the label's own project decides"),
    }

    def find_label(self, permission: str) -> Label:
        """Authorize and return the label. Raises ``LabelUnknown`` only for those who may know."""
        label = queries.find_label(self.kwargs["label_id"])
        project = label.project if label is not None else None
        if project is not None and not allowed(self.actor, permission, target_of(project)):
            # From here on it is a label that does not exist.
            label = project = None
        if label is not None and project is None and is_reading(permission):
            self.authorize_signed_in(permission)
        else:
            target = Target.of_system() if project is None else target_of(project)
            self.authorize(permission, target)
        if label is None:
            raise LabelUnknown
        return label

    @operation("Get a label", tag="labels", answer=LabelSerializer)
    def get(self, request: Request, label_id: int) -> Response:
        """Return the label."""
        return Response(LabelSerializer(self.find_label("label:read")).data)

    @operation("Update a label", tag="labels", body=LabelRequestSerializer, errors=(409,))
    def put(self, request: Request, label_id: int) -> Response:
        """Replace name, description and colour; scope and project stay."""
        label = self.find_label("label:update")
        wanted = self.parse(LabelRequestSerializer)
        ensure_stays(wanted, label)
        services.update_label(
            label,
            name=wanted["name"],
            description=wanted["description"],
            color=wanted["color"],
            actor=self.actor,
        )
        return self.done()

    @operation("Delete a label", tag="labels")
    def delete(self, request: Request, label_id: int) -> Response:
        """Delete the label, which takes it off every artifact."""
        services.delete_label(self.find_label("label:delete"), actor=self.actor)
        return self.done()
