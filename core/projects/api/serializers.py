"""Shapes of projects on the wire."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from core.api.errors import BadRequest
from core.api.fields import RequestSerializer, ResponseSerializer, TimestampField
from core.projects.models import Project

NEUTRAL_VALUES: dict[str, frozenset[str]] = {
    "enable_content_trust": frozenset({"", "false"}),
    "enable_content_trust_cosign": frozenset({"", "false"}),
    "prevent_vul": frozenset({"", "false"}),
    # Without prevent_vul the severity means nothing; clients always send one of these.
    "severity": frozenset({"", "none", "low"}),
    "auto_scan": frozenset({"", "false"}),
    "auto_sbom_generation": frozenset({"", "false"}),
    # There are no allowlists, so every project uses the system's empty one.
    "reuse_sys_cve_allowlist": frozenset({"", "true", "false"}),
    "retention_id": frozenset({""}),
    "proxy_speed_kb": frozenset({"", "-1"}),
    "max_upstream_conn": frozenset({"", "-1"}),
    "proxy_cache_local_on_not_found": frozenset({"", "false"}),
    "proxy_referrer_api": frozenset({"", "false"}),
    "proxy_cache_filter_pattern": frozenset({""}),
    "proxy_cache_filter_kind": frozenset({""}),
}
"""Harbor's metadata keys without a feature behind them yet: the values that ask for none."""


class ProjectRequestSerializer(RequestSerializer):
    """Harbor's ``ProjectReq``."""

    project_name = serializers.CharField(required=False, allow_null=True, max_length=512)
    public = serializers.BooleanField(required=False, allow_null=True)
    metadata: Any = serializers.DictField(
        child=serializers.CharField(allow_blank=True, allow_null=True),
        required=False,
        allow_null=True,
    )
    storage_limit = serializers.IntegerField(required=False, allow_null=True, min_value=-1)
    registry_id = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    cve_allowlist: Any = serializers.DictField(required=False, allow_null=True)


class ProjectSerializer(ResponseSerializer):
    """Harbor's ``Project``.

    The context brings ``roles``: project id to the caller's role ids there, the strongest
    first; and ``repositories``: project id to the number of its repositories.
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
        return {"public": "true" if project.is_public else "false"}


def wanted_visibility(request: Mapping[str, Any]) -> bool | None:
    """Return whether a request asks for a public project, None when it says nothing.

    ``metadata.public`` wins over ``public``. Raises ``BadRequest`` naming any metadata that
    asks for something this product does not do, rather than accept and ignore it.
    """
    metadata = dict(request.get("metadata") or {})
    public = metadata.pop("public", None)
    for key, value in metadata.items():
        if key not in NEUTRAL_VALUES:
            raise BadRequest(f"metadata.{key} is not known.")
        if (value or "").lower() not in NEUTRAL_VALUES[key]:
            raise BadRequest(f"metadata.{key}={value} is not supported.")
    if public in (None, ""):
        plain: bool | None = request.get("public")
        return plain
    if public.lower() not in ("true", "false"):
        raise BadRequest('metadata.public must be "true" or "false".')
    return bool(public.lower() == "true")


def ensure_supported(request: Mapping[str, Any]) -> None:
    """Refuse what a project cannot have yet. Raises ``BadRequest`` naming the field."""
    if request.get("storage_limit") not in (None, -1):
        raise BadRequest("storage_limit is not supported; leave it out or send -1.")
    if request.get("registry_id"):
        raise BadRequest("registry_id is not supported: there are no proxy projects.")
    if (request.get("cve_allowlist") or {}).get("items"):
        raise BadRequest("cve_allowlist is not supported.")
