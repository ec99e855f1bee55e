"""Shapes of quotas on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.errors import BadRequest
from core.api.fields import RequestSerializer, ResponseSerializer, TimestampField
from core.quotas.models import Quota
from core.quotas.queries import ProjectUsage
from core.quotas.rules import MAXIMUM_LIMIT, UNLIMITED

STORAGE = "storage"
"""The only resource that is limited."""


class StorageSerializer(ResponseSerializer):
    """A number of bytes, in the shape of Harbor's ``ResourceList``."""

    always = frozenset({STORAGE})

    storage = serializers.IntegerField()


class QuotaFiguresSerializer(ResponseSerializer):
    """Limit and usage of a project, from a ``ProjectUsage``."""

    always = frozenset({"hard", "used"})

    hard: Any = serializers.SerializerMethodField()
    used: Any = serializers.SerializerMethodField()

    @extend_schema_field(StorageSerializer)
    def get_hard(self, usage: ProjectUsage) -> dict[str, int]:
        """Return the limit in bytes, -1 for none."""
        return {STORAGE: usage.hard_bytes}

    @extend_schema_field(StorageSerializer)
    def get_used(self, usage: ProjectUsage) -> dict[str, int]:
        """Return what the project holds, in bytes."""
        return {STORAGE: usage.used_bytes}


class QuotaReferenceSerializer(ResponseSerializer):
    """The project that a quota is of."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    owner_name = serializers.CharField()


class QuotaSerializer(ResponseSerializer):
    """Harbor's ``Quota``."""

    always = frozenset({"id", "ref", "hard", "used"})

    id = serializers.IntegerField()
    ref = QuotaReferenceSerializer(source="project")
    hard: Any = serializers.SerializerMethodField()
    used: Any = serializers.SerializerMethodField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")

    @extend_schema_field(StorageSerializer)
    def get_hard(self, quota: Quota) -> dict[str, int]:
        """Return the limit in bytes, -1 for none."""
        return {STORAGE: quota.hard_bytes}

    @extend_schema_field(StorageSerializer)
    def get_used(self, quota: Any) -> dict[str, int]:
        """Return what the project holds, in bytes."""
        return {STORAGE: quota.usage}


class QuotaUpdateSerializer(RequestSerializer):
    """Harbor's ``QuotaUpdateReq``: ``{"hard": {"storage": bytes}}``."""

    hard = serializers.DictField(
        child=serializers.IntegerField(min_value=UNLIMITED, max_value=MAXIMUM_LIMIT)
    )


def wanted_limit(request: dict[str, Any]) -> int:
    """Return the limit that a request asks for. Raises ``BadRequest`` for other resources."""
    others = sorted(set(request["hard"]) - {STORAGE})
    if others or STORAGE not in request["hard"]:
        raise BadRequest("hard must have the resource storage, and no other.")
    return int(request["hard"][STORAGE])
