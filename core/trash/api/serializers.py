"""Shapes of the trash on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import ExactRequestSerializer, ResponseSerializer, TextField, TimestampField
from core.artifacts.models import TrashEntry
from core.oci.digest import Digest


class TrashEntrySerializer(ResponseSerializer):
    """One deletion; the context brings ``project``, the name that it has now."""

    always = frozenset({"kind", "repository_name", "size", "artifact_count"})

    id = serializers.IntegerField()
    kind = serializers.CharField()
    repository_name = serializers.SerializerMethodField()
    tag = serializers.CharField()
    digest = serializers.SerializerMethodField()
    tags: Any = serializers.SerializerMethodField()
    artifact_count = serializers.IntegerField(source="manifest_count")
    size = serializers.IntegerField(source="total_bytes")
    deletion_time = TimestampField(source="deleted_at")
    deleted_by = serializers.CharField()
    kept_until = TimestampField()

    def get_repository_name(self, entry: TrashEntry) -> str:
        """Return the full name that it would return to."""
        return f"{self.context['project']}/{entry.path}"

    def get_digest(self, entry: TrashEntry) -> str:
        """Return the digest of a manifest, or the one that a tag named."""
        return str(Digest.from_bytes(bytes(entry.digest))) if entry.digest else ""

    def get_tags(self, entry: TrashEntry) -> list[str]:
        """Return the live tags that a deleted manifest had."""
        return sorted(tag.name for tag in self.context["tags"].get(entry.pk, ()))


class RestoreRequestSerializer(ExactRequestSerializer):
    """Which tags of a deleted manifest are wanted; all when left out."""

    tags = serializers.ListField(child=TextField(max_length=128), required=False, max_length=500)


class TagRestoreSerializer(ExactRequestSerializer):
    """What a tag is to name again."""

    digest = TextField(max_length=1024)


class GrantLeftOutSerializer(ResponseSerializer):
    """A right that does not come back, because who held it was deleted meanwhile."""

    always = frozenset({"subject_kind", "subject_name", "right"})

    subject_kind = serializers.CharField()
    subject_name = serializers.CharField()
    right = serializers.CharField()


class LeftOutSerializer(ResponseSerializer):
    """What does not come back of a restored entry: it was deleted meanwhile, or ends are over."""

    always = frozenset({"labels_left_out", "grants_left_out", "ends_left_out"})

    labels_left_out = serializers.ListField(child=serializers.CharField(), source="labels")
    grants_left_out = GrantLeftOutSerializer(many=True, source="grants")
    ends_left_out = serializers.ListField(
        child=serializers.CharField(),
        source="ends",
        help_text="Tags that came back without an end, because it was over.",
    )
