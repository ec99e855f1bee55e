"""Shape of what a search finds."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.fields import ResponseSerializer
from core.artifacts.models import Repository
from core.projects.api.serializers import ProjectSerializer


class FoundRepositorySerializer(ResponseSerializer):
    """Harbor's ``SearchRepository``; the context brings ``artifacts``, counts by repository id."""

    always = frozenset({"project_public", "pull_count", "artifact_count"})

    project_id = serializers.IntegerField()
    project_name = serializers.CharField(source="project.name")
    project_public = serializers.BooleanField(source="project.is_public")
    repository_name = serializers.CharField(source="name")
    pull_count = serializers.IntegerField()
    artifact_count = serializers.SerializerMethodField()

    def get_artifact_count(self, repository: Repository) -> int:
        """Return how many artifacts a list of them would show."""
        return int(self.context.get("artifacts", {}).get(repository.pk, 0))


class SearchSerializer(ResponseSerializer):
    """Harbor's ``Search``; the context is that of both kinds of hits."""

    always = frozenset({"project", "repository"})

    project: Any = serializers.SerializerMethodField()
    repository: Any = serializers.SerializerMethodField()

    @extend_schema_field(ProjectSerializer(many=True))
    def get_project(self, hits: dict[str, Any]) -> list[Any]:
        """Return the projects."""
        return list(ProjectSerializer(hits["projects"], many=True, context=self.context).data)

    @extend_schema_field(FoundRepositorySerializer(many=True))
    def get_repository(self, hits: dict[str, Any]) -> list[Any]:
        """Return the repositories."""
        rows = hits["repositories"]
        return list(FoundRepositorySerializer(rows, many=True, context=self.context).data)
