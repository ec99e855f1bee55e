"""Shapes of members, roles and summaries on the wire."""

from typing import Any

from rest_framework import serializers

from core.api.fields import MAXIMUM_INTEGER, RequestSerializer, ResponseSerializer, TextField
from core.members.models import Membership, Role
from core.members.queries import role_permissions
from core.members.rules import is_built_in
from core.quotas.api.serializers import QuotaFiguresSerializer
from core.rbac.roles import BUILT_IN_ROLE_IDS


class UserReferenceSerializer(RequestSerializer):
    """A user by id or by name."""

    user_id = serializers.IntegerField(required=False, min_value=0, max_value=MAXIMUM_INTEGER)
    username = TextField(required=False, allow_blank=True, max_length=255)


class GroupReferenceSerializer(RequestSerializer):
    """A group by id or by name."""

    id = serializers.IntegerField(required=False, min_value=0, max_value=MAXIMUM_INTEGER)
    group_name = TextField(required=False, allow_blank=True, max_length=255)
    group_type = serializers.IntegerField(required=False, min_value=0, max_value=3)


class MemberRequestSerializer(RequestSerializer):
    """Harbor's ``ProjectMember``: one user or one group, and a role."""

    role_id = serializers.IntegerField(min_value=1, max_value=MAXIMUM_INTEGER)
    member_user = UserReferenceSerializer(required=False, allow_null=True)
    member_group = GroupReferenceSerializer(required=False, allow_null=True)


class RoleRequestSerializer(RequestSerializer):
    """The role of a member (Harbor's ``RoleRequest``)."""

    role_id = serializers.IntegerField(min_value=1, max_value=MAXIMUM_INTEGER)


class MemberSerializer(ResponseSerializer):
    """Harbor's ``ProjectMemberEntity``."""

    always = frozenset({"id", "role_id", "role_name", "entity_type"})

    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    entity_name = serializers.CharField()
    entity_id = serializers.SerializerMethodField()
    entity_type = serializers.SerializerMethodField()
    role_id = serializers.IntegerField()
    role_name = serializers.CharField(source="role.name")

    def get_entity_id(self, membership: Membership) -> int:
        """Return the id of the user or group."""
        return int(membership.user_id or membership.group_id or 0)

    def get_entity_type(self, membership: Membership) -> str:
        """Return ``u`` for a user and ``g`` for a group."""
        return "u" if membership.user_id is not None else "g"


class CustomRoleRequestSerializer(RequestSerializer):
    """A custom role: its name and the permissions as ``resource:action``."""

    name = TextField(max_length=64)
    description = TextField(required=False, allow_blank=True, max_length=1024)
    permissions = serializers.ListField(child=TextField(), max_length=500)


class CustomRoleUpdateSerializer(RequestSerializer):
    """What of a custom role is to be changed."""

    name = TextField(required=False, max_length=64)
    description = TextField(required=False, allow_blank=True, max_length=1024)
    permissions = serializers.ListField(child=TextField(), required=False, max_length=500)


class RoleSerializer(ResponseSerializer):
    """A role with everything it allows."""

    always = frozenset({"role_id", "name", "built_in", "permissions"})

    role_id = serializers.IntegerField(source="id")
    name = serializers.CharField()
    description = serializers.CharField()
    built_in = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()

    def get_built_in(self, role: Role) -> bool:
        """Tell whether the role is one of the five fixed ones."""
        return is_built_in(role.pk)

    def get_permissions(self, role: Role) -> list[str]:
        """Return the permission names in order."""
        return sorted(role_permissions(role))


class DeletableSerializer(ResponseSerializer):
    """Whether something can be deleted, and why not."""

    always = frozenset({"deletable"})

    deletable = serializers.BooleanField()
    message = serializers.CharField()


class ProjectSummarySerializer(ResponseSerializer):
    """Harbor's ``ProjectSummary``."""

    always = frozenset({"repo_count"})

    repo_count = serializers.IntegerField(source="repositories")
    project_admin_count = serializers.SerializerMethodField()
    maintainer_count = serializers.SerializerMethodField()
    developer_count = serializers.SerializerMethodField()
    guest_count = serializers.SerializerMethodField()
    limited_guest_count = serializers.SerializerMethodField()
    custom_role_count = serializers.SerializerMethodField()
    quota = QuotaFiguresSerializer(required=False)

    def get_project_admin_count(self, summary: dict[str, Any]) -> int:
        """Count the project's administrators."""
        return _count(summary, "projectAdmin")

    def get_maintainer_count(self, summary: dict[str, Any]) -> int:
        """Count its maintainers."""
        return _count(summary, "maintainer")

    def get_developer_count(self, summary: dict[str, Any]) -> int:
        """Count its developers."""
        return _count(summary, "developer")

    def get_guest_count(self, summary: dict[str, Any]) -> int:
        """Count its guests."""
        return _count(summary, "guest")

    def get_limited_guest_count(self, summary: dict[str, Any]) -> int:
        """Count its limited guests."""
        return _count(summary, "limitedGuest")

    def get_custom_role_count(self, summary: dict[str, Any]) -> int:
        """Count its members with custom roles, which Harbor does not have."""
        built_in = set(BUILT_IN_ROLE_IDS.values())
        return sum(count for role, count in summary["members"].items() if role not in built_in)


def _count(summary: dict[str, Any], role_name: str) -> int:
    return int(summary["members"].get(BUILT_IN_ROLE_IDS[role_name], 0))
