"""Shapes of labels on the wire."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from core.api.errors import BadRequest
from core.api.fields import (
    MAXIMUM_INTEGER,
    RequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
)
from core.labels.models import Label
from core.labels.rules import (
    GLOBAL_SCOPE,
    MAXIMUM_DESCRIPTION,
    MAXIMUM_NAME,
    PROJECT_SCOPE,
    scope_of,
)


class LabelRequestSerializer(RequestSerializer):
    """Harbor's ``Label`` as it is sent.

    A missing description or colour is an empty one: clients leave empty texts out.
    """

    name = TextField(max_length=MAXIMUM_NAME, trim_whitespace=False)
    description = TextField(
        required=False, allow_blank=True, default="", max_length=MAXIMUM_DESCRIPTION
    )
    color = TextField(required=False, allow_blank=True, default="", max_length=64)
    scope = TextField(required=False, allow_blank=True, default="", max_length=64)
    project_id = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAXIMUM_INTEGER
    )


class LabelReferenceSerializer(RequestSerializer):
    """Harbor's ``Label`` where it names one that exists: only its id counts."""

    id = serializers.IntegerField(min_value=1, max_value=MAXIMUM_INTEGER)


class LabelSerializer(ResponseSerializer):
    """Harbor's ``Label``."""

    always = frozenset({"id", "name", "scope"})

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    color = serializers.CharField()
    scope = serializers.SerializerMethodField()
    project_id = serializers.IntegerField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")

    def get_scope(self, label: Label) -> str:
        """Return ``g`` for a global label and ``p`` for one of a project."""
        return scope_of(label.project_id)


def wanted_project(body: Mapping[str, Any]) -> int | None:
    """Return the project of a new label, None for a global one. Raises ``BadRequest``."""
    project_id: int = body.get("project_id") or 0
    if body["scope"] == PROJECT_SCOPE:
        if not project_id:
            raise BadRequest("project_id: a label of scope p needs the id of a project.")
        return project_id
    if body["scope"] != GLOBAL_SCOPE:
        raise BadRequest("scope must be g or p.")
    if project_id:
        raise BadRequest("project_id: a label of scope g has no project.")
    return None


def ensure_stays(body: Mapping[str, Any], label: Label) -> None:
    """Refuse to move a label into another scope or project. Raises ``BadRequest``."""
    if body["scope"] not in ("", scope_of(label.project_id)):
        raise BadRequest("scope of a label cannot be changed.")
    if (body.get("project_id") or 0) not in (0, label.project_id):
        raise BadRequest("project_id of a label cannot be changed.")
