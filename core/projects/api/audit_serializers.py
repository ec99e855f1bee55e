"""Shapes of audit entries on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import ResponseSerializer, TimestampField
from core.audit.models import AuditEntry
from core.audit.types import Outcome
from core.projects.api.audit_filters import operation_of


class AuditEventTypeSerializer(ResponseSerializer):
    """Harbor's ``AuditLogEventType``."""

    always = frozenset({"event_type"})

    event_type = serializers.CharField()


class AuditEntrySerializer(ResponseSerializer):
    """Harbor's ``AuditLogExt``, with where the request came from beside it."""

    always = frozenset({"operation_result"})

    id = serializers.IntegerField()
    username = serializers.CharField(source="actor_label")
    resource = serializers.CharField(source="target_label")
    resource_type = serializers.CharField(source="target_kind")
    operation = serializers.SerializerMethodField()
    operation_description = serializers.SerializerMethodField()
    operation_result = serializers.SerializerMethodField()
    op_time = TimestampField(source="recorded_at")
    address = serializers.CharField()
    user_agent = serializers.CharField()
    request_id = serializers.CharField()
    detail: Any = serializers.JSONField()

    def get_operation(self, entry: AuditEntry) -> str:
        """Return the verb, such as ``create``."""
        return operation_of(entry.action)

    def get_operation_description(self, entry: AuditEntry) -> str:
        """Return one sentence about what happened."""
        verb = entry.action.rpartition(".")[2].replace("_", " ")
        sentence = f"{entry.target_kind} {entry.target_label} {verb}"
        return sentence if entry.outcome == Outcome.SUCCESS else f"{sentence}: {entry.outcome}"

    def get_operation_result(self, entry: AuditEntry) -> bool:
        """Tell whether it succeeded."""
        return entry.outcome == Outcome.SUCCESS
