"""Shapes of people and groups on the wire."""

from rest_framework import serializers

from core.api.fields import (
    MAXIMUM_INTEGER,
    RequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
)

MAXIMUM_TEXT = 1024


class UserSerializer(ResponseSerializer):
    """Harbor's ``UserResp``."""

    always = frozenset({"sysadmin_flag", "admin_role_in_auth"})

    user_id = serializers.IntegerField(source="id")
    username = serializers.CharField()
    email = serializers.CharField()
    realname = serializers.CharField(source="real_name")
    comment = serializers.CharField()
    sysadmin_flag = serializers.BooleanField(source="is_superuser")
    admin_role_in_auth = serializers.SerializerMethodField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")

    def get_admin_role_in_auth(self, user: object) -> bool:
        """No directory gives the administrator's right yet."""
        return False


class UserSearchSerializer(ResponseSerializer):
    """Harbor's ``UserSearchRespItem``: no more than is needed to name somebody."""

    user_id = serializers.IntegerField(source="id")
    username = serializers.CharField()


class UserCreationSerializer(RequestSerializer):
    """Harbor's ``UserCreationReq``."""

    username = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)
    password = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)
    email = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)
    realname = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)
    comment = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)


class UserProfileSerializer(RequestSerializer):
    """Harbor's ``UserProfile``; what is left out stays."""

    email = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)
    realname = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)
    comment = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)


class SystemAdminSerializer(RequestSerializer):
    """Harbor's ``UserSysAdminFlag``; a missing one is false: clients leave false values out."""

    sysadmin_flag = serializers.BooleanField(required=False, default=False)


class PasswordSerializer(RequestSerializer):
    """Harbor's ``PasswordReq``; the old password is needed for one's own."""

    old_password = TextField(
        required=False, allow_blank=True, max_length=MAXIMUM_TEXT, trim_whitespace=False
    )
    new_password = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)


class GroupSerializer(ResponseSerializer):
    """Harbor's ``UserGroup``."""

    id = serializers.IntegerField()
    group_name = serializers.CharField(source="name")
    group_type = serializers.IntegerField()
    ldap_group_dn = serializers.CharField(source="directory_name")


class GroupRequestSerializer(RequestSerializer):
    """What a group is created or renamed with."""

    group_name = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)
    group_type = serializers.IntegerField(required=False, min_value=0, max_value=3)
    ldap_group_dn = TextField(required=False, allow_blank=True, max_length=MAXIMUM_TEXT)


class GroupUserSerializer(RequestSerializer):
    """The user that joins a group."""

    user_id = serializers.IntegerField(min_value=1, max_value=MAXIMUM_INTEGER)
