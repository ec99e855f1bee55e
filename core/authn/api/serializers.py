"""Shapes of personal access tokens on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import RequestSerializer, ResponseSerializer, TimestampField
from core.rbac.rules import SCOPES


class PersonalTokenSerializer(ResponseSerializer):
    """A token without its secret, of which only the last characters are shown."""

    always = frozenset({"id", "name", "scopes", "projects"})

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    scopes: Any = serializers.JSONField()
    projects: Any = serializers.JSONField(source="project_names")
    hint = serializers.CharField()
    creation_time = TimestampField(source="created_at")
    expires_at = TimestampField()
    last_used_at = TimestampField()
    last_used_address = serializers.CharField()


class PersonalTokenRequestSerializer(RequestSerializer):
    """What a new token may do and for how long; without projects it works in all of them."""

    name = serializers.CharField(max_length=255)
    description = serializers.CharField(required=False, allow_blank=True, max_length=1024)
    scopes = serializers.ListField(child=serializers.ChoiceField(sorted(SCOPES)), max_length=16)
    projects = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=1000
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class NewPersonalTokenSerializer(PersonalTokenSerializer):
    """A new token with its secret, shown once."""

    always = PersonalTokenSerializer.always | {"secret"}

    secret = serializers.SerializerMethodField()

    def get_secret(self, token: object) -> str:
        """Return the secret that came with the token."""
        return str(self.context["secret"])
