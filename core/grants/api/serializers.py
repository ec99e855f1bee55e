"""Shapes of repository grants and explanations on the wire."""

from rest_framework import serializers

from core.api.fields import MAXIMUM_INTEGER, RequestSerializer, ResponseSerializer, TextField
from core.grants.types import RepositoryGrant


class GrantSerializer(ResponseSerializer):
    """One right that a user or group holds on a repository."""

    always = frozenset({"id", "entity_type", "entity_id", "entity_name", "right"})

    id = serializers.SerializerMethodField()
    entity_type = serializers.SerializerMethodField()
    entity_id = serializers.IntegerField(source="subject_id")
    entity_name = serializers.CharField(source="subject_name")
    right = serializers.CharField()

    def get_id(self, grant: RepositoryGrant) -> str:
        """Return the last segment of the grant's path."""
        return f"{self.get_entity_type(grant)}-{grant.subject_id}-{grant.right}"

    def get_entity_type(self, grant: RepositoryGrant) -> str:
        """Return ``u`` for a user and ``g`` for a group, as for members."""
        return grant.subject_kind[0]


class GrantRequestSerializer(RequestSerializer):
    """One user or one group, by id or name, and the right."""

    user_id = serializers.IntegerField(required=False, min_value=1, max_value=MAXIMUM_INTEGER)
    username = TextField(required=False, max_length=255)
    group_id = serializers.IntegerField(required=False, min_value=1, max_value=MAXIMUM_INTEGER)
    group_name = TextField(required=False, max_length=255)
    right = serializers.ChoiceField(["pull", "push", "delete"])


class ExplanationSerializer(ResponseSerializer):
    """A decision with every reason that led to it."""

    always = frozenset({"allowed", "permission", "subject", "reasons"})

    allowed = serializers.BooleanField()
    permission = serializers.CharField()
    subject = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
