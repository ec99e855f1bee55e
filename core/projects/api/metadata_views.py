"""Metadata of a project, one by one."""

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest
from core.api.fields import TextField
from core.api.parsers import members_of
from core.api.permissions import Access
from core.projects import services
from core.projects.api.scope import ProjectView
from core.projects.errors import MetadataUnknown
from core.projects.queries import metadata_of

_TEXTS = serializers.DictField(child=TextField(allow_blank=True))

# As OpenAPI says it.
_TEXTS_SCHEMA: Any = {"type": "object", "additionalProperties": {"type": "string"}}
_ONE_TEXT = {"application/json": {**_TEXTS_SCHEMA, "minProperties": 1, "maxProperties": 1}}


class MetadatasView(ProjectView):
    """All metadata of a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "metadata:list", "POST": "metadata:create"}

    @operation("List a project's metadata", tag="projects", answer=_TEXTS_SCHEMA)
    def get(self, request: Request, project: str) -> Response:
        """Return names and values, which are texts all of them."""
        return Response(metadata_of(self.project))

    @operation(
        "Add metadata to a project",
        tag="projects",
        body=_ONE_TEXT,
        errors=(409,),
    )
    def post(self, request: Request, project: str) -> Response:
        """Store one value under a name that has none."""
        ((name, value),) = _one_key(request).items()
        services.add_metadata(self.project, name, value, actor=self.actor)
        return self.done()


class UnslashedMetadatasView(MetadatasView):
    """The same without the slash at the end."""

    schema = None  # type: ignore[assignment]  # left out of the OpenAPI document


class MetadataView(ProjectView):
    """One of the metadata of a project."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "metadata:read",
        "PUT": "metadata:update",
        "DELETE": "metadata:delete",
    }

    @operation("Get one of a project's metadata", tag="projects", answer=_TEXTS_SCHEMA)
    def get(self, request: Request, project: str, meta_name: str) -> Response:
        """Return the name with its value."""
        metadata = metadata_of(self.project)
        if meta_name not in metadata:
            raise MetadataUnknown
        return Response({meta_name: metadata[meta_name]})

    @operation("Update one of a project's metadata", tag="projects", body=_ONE_TEXT)
    def put(self, request: Request, project: str, meta_name: str) -> Response:
        """Replace the value; the body has the name once more."""
        ((name, value),) = _one_key(request).items()
        if name != meta_name:
            raise BadRequest("The body must have the name that the path has, and no other.")
        services.change_metadata(self.project, name, value, actor=self.actor)
        return self.done()

    @operation("Delete one of a project's metadata", tag="projects")
    def delete(self, request: Request, project: str, meta_name: str) -> Response:
        """Forget the value."""
        services.delete_metadata(self.project, meta_name, actor=self.actor)
        return self.done()


def _one_key(request: Request) -> dict[str, str]:
    """Return the body. Raises ``ValidationError``, ``UnprocessableEntity``, ``BadRequest``."""
    given: dict[str, str] = _TEXTS.run_validation(members_of(request.data))
    if len(given) != 1:
        raise BadRequest("The body must have exactly one name and its value.")
    return given
