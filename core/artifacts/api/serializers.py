"""Shapes of repositories, artifacts and tags on the wire."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.fields import (
    ExactRequestSerializer,
    RequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
    timestamp,
)
from core.artifacts.api.bulk import Accessory, Child, ShownTag, digest_text
from core.artifacts.api.filters import COSIGN_TYPES, NOTATION_TYPE, AccessoryKind
from core.artifacts.models import Manifest, Repository, Tag
from core.labels.api.serializers import LabelSerializer
from core.oci.media_types import ADDITIONS, ArtifactKind, artifact_kind
from core.oci.referrers import is_signature_tag

MAXIMUM_DESCRIPTION = 64 * 1024
MAXIMUM_LISTED_ANNOTATIONS_BYTES = 64 << 10
"""How much a list shows of an artifact's annotations, and of those of what it lists."""


class RepositorySerializer(ResponseSerializer):
    """Harbor's ``Repository``; the context brings ``artifacts``, counts by repository id."""

    always = frozenset({"artifact_count", "pull_count"})

    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    artifact_count = serializers.SerializerMethodField()
    pull_count = serializers.IntegerField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")

    def get_artifact_count(self, repository: Repository) -> int:
        """Return how many artifacts a list of them would show."""
        return int(self.context.get("artifacts", {}).get(repository.pk, 0))


class RepositoryUpdateSerializer(RequestSerializer):
    """What of a repository can be changed; a text that is left out is empty."""

    description = TextField(
        required=False,
        default="",
        allow_blank=True,
        max_length=MAXIMUM_DESCRIPTION,
        trim_whitespace=False,
    )


class TagSerializer(ResponseSerializer):
    """Harbor's ``Tag``; the context brings ``immutability``, that of the repository."""

    always = frozenset({"immutable"})

    id = serializers.IntegerField()
    repository_id = serializers.IntegerField()
    artifact_id = serializers.IntegerField(source="manifest_id")
    name = serializers.CharField()
    push_time = TimestampField(source="started_at")
    pull_time = TimestampField(source="last_pulled_at")
    immutable = serializers.SerializerMethodField()
    expires_at = serializers.SerializerMethodField()

    def get_expires_at(self, tag: Tag) -> str:
        """Return when the tag ends by itself; left out when it does not."""
        return timestamp(tag.expires_at) if tag.expires_at else ""

    def get_immutable(self, tag: Tag) -> bool:
        """Tell whether a rule of the project keeps the tag from being moved or deleted."""
        return bool(self.context["immutability"].covers(tag.name))


class TagExpirySerializer(ExactRequestSerializer):
    """When a tag ends: at a time (null: never), or after such as ``2w``."""

    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    expires_after = TextField(required=False, max_length=32)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Insist on exactly one of the two."""
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either expires_at or expires_after.")
        return attrs


class TagRequestSerializer(RequestSerializer):
    """Harbor's ``Tag`` as it is created."""

    name = TextField(max_length=1024)


class NamelessTagPeriodSerializer(ResponseSerializer):
    """One period of a tag's history, for those who may not know who works in the project."""

    always = frozenset({"name", "digest", "live"})

    name = serializers.CharField()
    digest = serializers.SerializerMethodField()
    artifact_id = serializers.IntegerField(source="manifest_id")
    live = serializers.SerializerMethodField()
    started_at = TimestampField()
    ended_at = TimestampField()

    def get_digest(self, tag: Tag) -> str:
        """Return the digest that the tag named."""
        return digest_text(tag.digest)

    def get_live(self, tag: Tag) -> bool:
        """Tell whether the tag still names it."""
        return tag.ended_at is None


class TagPeriodSerializer(NamelessTagPeriodSerializer):
    """One period of a tag's history: from when until when it named a digest, and by whom."""

    started_by = serializers.CharField()
    ended_by = serializers.CharField()


class AccessorySerializer(ResponseSerializer):
    """Harbor's ``Accessory``; the context brings ``subject`` and ``repository``.

    And ``companions``: by which tags manifests are about the subject, by their ids.
    """

    always = frozenset(
        {
            "artifact_id",
            "subject_artifact_digest",
            "subject_artifact_repo",
            "size",
            "digest",
            "type",
            "icon",
        }
    )

    id = serializers.IntegerField()
    artifact_id = serializers.IntegerField(source="id")
    subject_artifact_id = serializers.SerializerMethodField()
    subject_artifact_digest = serializers.SerializerMethodField()
    subject_artifact_repo = serializers.SerializerMethodField()
    size = serializers.IntegerField(source="total_bytes")
    digest = serializers.SerializerMethodField()
    type = serializers.SerializerMethodField()
    icon = serializers.SerializerMethodField()
    creation_time = TimestampField(source="pushed_at")

    def get_subject_artifact_id(self, accessory: Manifest) -> int:
        """Return the id of the artifact it is about."""
        return int(self.context["subject"].pk)

    def get_subject_artifact_digest(self, accessory: Manifest) -> str:
        """Return the digest of the artifact it is about."""
        return digest_text(self.context["subject"].digest)

    def get_subject_artifact_repo(self, accessory: Manifest) -> str:
        """Return the repository of both."""
        return str(self.context["repository"].name)

    def get_digest(self, accessory: Manifest) -> str:
        """Return its own digest."""
        return digest_text(accessory.digest)

    def get_type(self, accessory: Manifest) -> str:
        """Return Harbor's name for the type."""
        types = {accessory.artifact_type, accessory.config_media_type}
        tag = self.context["companions"].get(accessory.pk, "")
        if types & COSIGN_TYPES or is_signature_tag(tag):
            return AccessoryKind.COSIGN
        return AccessoryKind.NOTATION if NOTATION_TYPE in types else AccessoryKind.OTHER

    def get_icon(self, accessory: Manifest) -> str:
        """Return nothing: there are no icons."""
        return ""


class ArtifactSerializer(ResponseSerializer):
    """Harbor's ``Artifact``; the context is that of ``bulk.artifact_context``.

    The repository is read along with the manifest.
    """

    id = serializers.IntegerField()
    type = serializers.SerializerMethodField()
    media_type = serializers.SerializerMethodField()
    manifest_media_type = serializers.CharField(source="media_type")
    artifact_type = serializers.SerializerMethodField()
    project_id = serializers.SerializerMethodField()
    repository_id = serializers.IntegerField()
    repository_name = serializers.SerializerMethodField()
    digest = serializers.SerializerMethodField()
    size = serializers.IntegerField(source="total_bytes")
    push_time = TimestampField(source="pushed_at")
    pull_time = TimestampField(source="last_pulled_at")
    extra_attrs: Any = serializers.JSONField()
    annotations: Any = serializers.SerializerMethodField()
    references: Any = serializers.SerializerMethodField()
    tags: Any = serializers.SerializerMethodField()
    labels: Any = serializers.SerializerMethodField()
    addition_links: Any = serializers.SerializerMethodField()
    accessories: Any = serializers.SerializerMethodField()
    inherited_accessories: Any = serializers.SerializerMethodField()

    def get_type(self, manifest: Manifest) -> str:
        """Return what the artifact is to its users."""
        return artifact_kind(manifest.config_media_type, manifest.artifact_type).value

    def get_media_type(self, manifest: Manifest) -> str:
        """Return the configuration's media type; an index has only its own."""
        return manifest.config_media_type or manifest.media_type

    def get_artifact_type(self, manifest: Manifest) -> str:
        """Return the declared type, else that of the configuration."""
        return manifest.artifact_type or manifest.config_media_type or manifest.media_type

    def get_project_id(self, manifest: Manifest) -> int:
        """Return the repository's project."""
        return manifest.repository.project_id

    def get_repository_name(self, manifest: Manifest) -> str:
        """Return the full name."""
        return manifest.repository.name

    def get_digest(self, manifest: Manifest) -> str:
        """Return the digest."""
        return digest_text(manifest.digest)

    def get_references(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Return the children of an index with their platforms."""
        rows = self.context["references"].get(manifest.pk, ())
        is_whole = self._shows([row.annotations for row in rows])
        return [_reference(row, with_annotations=is_whole) for row in rows]

    @extend_schema_field(serializers.JSONField())
    def get_annotations(self, manifest: Manifest) -> Any:
        """Return the annotations; a list leaves out those that are large."""
        return manifest.annotations if self._shows([manifest.annotations]) else None

    def _shows(self, annotations: Sequence[Any]) -> bool:
        if not self.context["is_list"]:
            return True
        texts = (json.dumps(each, ensure_ascii=False) for each in annotations if each)
        size = sum(len(text.encode()) for text in texts)
        return size <= MAXIMUM_LISTED_ANNOTATIONS_BYTES

    def get_tags(self, manifest: Manifest) -> list[dict[str, Any]]:
        """Return the live tags, the newest first."""
        tags = self.context["tags"].get(manifest.pk, ())
        if not tags:
            return []
        immutability = self.context["immutability"][manifest.repository.name]
        return [_tag(tag, is_immutable=immutability.covers(tag.name)) for tag in tags]

    def get_addition_links(self, manifest: Manifest) -> dict[str, Any]:
        """Return where to read what else there is, as the kind of the artifact has it."""
        kind = artifact_kind(manifest.config_media_type, manifest.artifact_type)
        project, _, path = manifest.repository.name.partition("/")
        base = (
            f"/api/v2.0/projects/{project}/repositories/{quote(quote(path, safe=''), safe='')}"
            f"/artifacts/{digest_text(manifest.digest)}/additions"
        )
        # Reports on vulnerabilities are no content of the artifact, and have a route of their own.
        reports = ("vulnerabilities",) if kind is ArtifactKind.IMAGE else ()
        names = (*ADDITIONS.get(kind, ()), *reports)
        return {name: {"href": f"{base}/{name}", "absolute": False} for name in names}

    @extend_schema_field(LabelSerializer(many=True))
    def get_labels(self, manifest: Manifest) -> list[Any]:
        """Return the labels by name."""
        rows = self.context["labels"].get(manifest.pk, ())
        return [LabelSerializer(label).data for label in rows]

    def get_accessories(self, manifest: Manifest) -> list[Any]:
        """Return the manifests that are about this one."""
        rows = self.context["accessories"].get(manifest.pk, ())
        return [_accessory(manifest, row) for row in rows]

    def get_inherited_accessories(self, manifest: Manifest) -> list[Any]:
        """Return the manifests that are about an index that lists this one."""
        rows = self.context["inherited"].get(manifest.pk, ())
        return [_accessory(parent, row) for parent, row in rows]


def _accessory(subject: Manifest, accessory: Accessory) -> Any:
    manifest, tag = accessory
    companions = {manifest.pk: tag}
    context = {"subject": subject, "repository": subject.repository, "companions": companions}
    return AccessorySerializer(manifest, context=context).data


def _tag(tag: ShownTag, *, is_immutable: bool) -> dict[str, Any]:
    """Return what ``TagSerializer`` would."""
    rendered = {
        "id": tag.id,
        "repository_id": tag.repository_id,
        "artifact_id": tag.manifest_id,
        "name": tag.name,
        "push_time": timestamp(tag.started_at),
        "pull_time": timestamp(tag.last_pulled_at),
        "immutable": is_immutable,
    }
    if tag.expires_at is not None:
        rendered["expires_at"] = timestamp(tag.expires_at)
    return rendered


def _reference(row: Child, *, with_annotations: bool) -> dict[str, Any]:
    reference: dict[str, Any] = {
        "parent_id": row.parent_id,
        "child_id": row.child_id,
        "child_digest": digest_text(row.digest),
    }
    if row.platform:
        reference["platform"] = row.platform
    if row.annotations and with_annotations:
        reference["annotations"] = row.annotations
    return reference
