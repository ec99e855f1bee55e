"""Shapes of personal access tokens and sessions on the wire."""

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.fields import (
    ExactRequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
    timestamp,
)
from core.authn.models import BrowserSession
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


class PersonalTokenRequestSerializer(ExactRequestSerializer):
    """What a new token may do and for how long; without projects it works in all of them.

    A limit that is misspelt would make a token without it.
    """

    name = TextField(max_length=255)
    description = TextField(required=False, allow_blank=True, max_length=1024)
    scopes = serializers.ListField(child=serializers.ChoiceField(sorted(SCOPES)), max_length=16)
    projects = serializers.ListField(
        child=TextField(max_length=255), required=False, max_length=1000
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class NewPersonalTokenSerializer(PersonalTokenSerializer):
    """A new token with its secret, shown once."""

    always = PersonalTokenSerializer.always | {"secret"}

    secret = serializers.SerializerMethodField()

    def get_secret(self, token: object) -> str:
        """Return the secret that came with the token."""
        return str(self.context["secret"])


class BrowserSessionSerializer(ResponseSerializer):
    """A session, without its secret.

    The context brings ``current``, the id of the session that asks, if it is one, and
    ``timeout_minutes``.
    """

    always = frozenset({"id", "current", "expires_at"})

    id = serializers.IntegerField()
    current = serializers.SerializerMethodField()
    address = serializers.CharField()
    user_agent = serializers.CharField()
    creation_time = TimestampField(source="created_at")
    last_seen_at = TimestampField()
    expires_at = serializers.SerializerMethodField()

    def get_current(self, session: BrowserSession) -> bool:
        """Tell whether it is the session that asks."""
        return bool(self.context.get("current") == session.pk)

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_expires_at(self, session: BrowserSession) -> str:
        """Return when it ends if nobody uses it any more."""
        timeout = timedelta(minutes=self.context["timeout_minutes"])
        return timestamp(session.last_seen_at + timeout)
