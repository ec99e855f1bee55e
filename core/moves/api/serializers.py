"""Shapes of moves on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import ExactRequestSerializer, ResponseSerializer, TextField, TimestampField


class ProjectRenameSerializer(ExactRequestSerializer):
    """The new name of a project."""

    project_name = TextField(max_length=512, trim_whitespace=False)


class RepositoryTransferSerializer(ExactRequestSerializer):
    """Where a repository moves: a project by name and a path in it, of which either may stay."""

    project = TextField(required=False, max_length=512, trim_whitespace=False)
    repository = TextField(required=False, max_length=512, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a body that moves nothing."""
        if not attrs:
            raise serializers.ValidationError("project or repository is required.")
        return attrs


class MovedSerializer(ResponseSerializer):
    """The name after the move."""

    always = frozenset({"name"})

    name = serializers.CharField()


class RedirectSerializer(ResponseSerializer):
    """A former name by which pulls find a repository."""

    always = frozenset({"name"})

    name = serializers.CharField()
    creation_time = TimestampField(source="created_at")
