"""Shapes of the storage explorer on the wire."""

from rest_framework import serializers

from core.api.fields import ResponseSerializer, TimestampField
from core.quotas.api.serializers import QuotaFiguresSerializer


class RepositorySizeSerializer(ResponseSerializer):
    """A repository and what it holds."""

    always = frozenset({"name", "bytes", "blobs", "manifests"})

    name = serializers.CharField()
    bytes = serializers.IntegerField()
    blobs = serializers.IntegerField()
    manifests = serializers.IntegerField()


class ProjectSizeSerializer(ResponseSerializer):
    """A project, what it holds and its limit (-1: none)."""

    always = frozenset({"project_id", "name", "used_bytes", "hard_bytes"})

    project_id = serializers.IntegerField(source="id")
    name = serializers.CharField()
    used_bytes = serializers.IntegerField()
    hard_bytes = serializers.IntegerField()


class StorageFiguresSerializer(ResponseSerializer):
    """What was held at counted_at: each content for every repository that has it, or once.

    10,000 contents and more are counted again after a second for every 10,000, at most an hour.
    """

    always = frozenset(
        {
            "logical_bytes",
            "deduplicated_bytes",
            "shared_bytes",
            "pending_garbage_bytes",
            "repository_count",
            "blob_count",
            "manifest_count",
            "counted_at",
        }
    )

    logical_bytes = serializers.IntegerField()
    deduplicated_bytes = serializers.IntegerField()
    shared_bytes = serializers.IntegerField()
    pending_garbage_bytes = serializers.IntegerField()
    repository_count = serializers.IntegerField(source="repositories")
    blob_count = serializers.IntegerField(source="blobs")
    manifest_count = serializers.IntegerField(source="manifests")
    counted_at = TimestampField()


class ProjectStorageSerializer(ResponseSerializer):
    """The storage of a project."""

    always = frozenset({"quota", "figures", "top_repositories"})

    quota = QuotaFiguresSerializer()
    figures = StorageFiguresSerializer()
    top_repositories = RepositorySizeSerializer(many=True)


class RegistryStorageSerializer(ResponseSerializer):
    """The storage of the registry."""

    always = frozenset({"figures", "top_projects", "top_repositories"})

    figures = StorageFiguresSerializer()
    top_projects = ProjectSizeSerializer(many=True)
    top_repositories = RepositorySizeSerializer(many=True)
