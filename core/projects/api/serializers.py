"""Shapes of projects on the wire."""

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
from core.projects.models import Project
from core.projects.queries import metadata_of


class ProjectRequestSerializer(RequestSerializer):
    """Harbor's ``ProjectReq`` without its allowlist, which a higher feature adds."""

    project_name = TextField(required=False, allow_null=True, max_length=512, trim_whitespace=False)
    public = serializers.BooleanField(required=False, allow_null=True)
    metadata: Any = serializers.DictField(
        child=TextField(allow_blank=True, allow_null=True),
        required=False,
        allow_null=True,
    )
    storage_limit = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=MAXIMUM_INTEGER
    )
    registry_id = serializers.IntegerField(required=False, allow_null=True, min_value=0)


class ProjectSerializer(ResponseSerializer):
    """Harbor's ``Project``.

    The context brings ``roles``: project id to the caller's role ids there, the strongest
    first; ``repositories``: project id to the number of its repositories; and ``allowlists``:
    project id to its allowlist as it is shown.
    """

    always = frozenset({"repo_count", "metadata"})

    project_id = serializers.IntegerField(source="id")
    name = serializers.CharField()
    owner_id = serializers.IntegerField()
    owner_name = serializers.CharField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")
    current_user_role_id = serializers.SerializerMethodField()
    current_user_role_ids = serializers.SerializerMethodField()
    repo_count = serializers.SerializerMethodField()
    metadata: Any = serializers.SerializerMethodField()
    cve_allowlist: Any = serializers.SerializerMethodField()

    def get_current_user_role_id(self, project: Project) -> int:
        """Return the caller's strongest role, 0 for none."""
        roles = self.context.get("roles", {}).get(project.pk, ())
        return int(roles[0]) if roles else 0

    def get_current_user_role_ids(self, project: Project) -> list[int]:
        """Return all roles of the caller."""
        return list(self.context.get("roles", {}).get(project.pk, ()))

    def get_repo_count(self, project: Project) -> int:
        """Return how many repositories the project holds."""
        return int(self.context.get("repositories", {}).get(project.pk, 0))

    def get_metadata(self, project: Project) -> dict[str, str]:
        """Return the metadata; all values are texts."""
        return metadata_of(project)

    def get_cve_allowlist(self, project: Project) -> dict[str, Any]:
        """Return the allowlist in force, as far as the caller may see it."""
        shown: dict[str, Any] = self.context.get("allowlists", {}).get(project.pk, {})
        return shown


def ensure_supported(request: Mapping[str, Any]) -> None:
    """Refuse what a project cannot have yet. Raises ``BadRequest`` naming the field."""
    if request.get("registry_id"):
        raise BadRequest("registry_id is not supported: there are no proxy projects.")
