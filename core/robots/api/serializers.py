"""Shapes of robots on the wire."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

from core.api.errors import BadRequest
from core.api.fields import (
    ExactRequestSerializer,
    RequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
)
from core.rbac.rules import THE_SYSTEM
from core.rbac.types import ActorKind
from core.robots.models import Robot
from core.robots.queries import login_name
from core.robots.rules import FOR_EVER, MAXIMUM_DURATION_DAYS

KIND_SYSTEM, KIND_PROJECT = "system", "project"

CREATOR_TYPES: Final[Mapping[str, str]] = {ActorKind.USER: "local", ActorKind.ROBOT: "robot"}
"""Harbor's words for who creates robots; what the product makes itself has neither."""


class AccessSerializer(RequestSerializer):
    """One permission: a resource and an action."""

    resource = TextField(max_length=64)
    action = TextField(max_length=64)
    effect = serializers.ChoiceField(["", "allow"], required=False, allow_blank=True)


class RobotPermissionSerializer(RequestSerializer):
    """Permissions in the system or in one project (``*``: in every project)."""

    kind = serializers.ChoiceField([KIND_SYSTEM, KIND_PROJECT])
    namespace = TextField(max_length=255)
    access = AccessSerializer(many=True)


class ChosenSecretField(TextField):
    """A secret that the client chooses, byte for byte; ``rules.ensure_valid_secret`` judges it."""

    def __init__(self, *, allow_null: bool = False) -> None:
        super().__init__(
            required=False,
            allow_null=allow_null,
            default="",
            allow_blank=True,
            trim_whitespace=False,
            help_text="Chosen by the client: 8 to 128 characters, none of them a control "
            "character, with at least one upper-case letter, one lower-case letter and one digit, "
            "not beginning with `rsd_`. Empty to have one made.",
        )


class RobotCreateSerializer(RequestSerializer):
    """Harbor's ``RobotCreate``, whose secret counts."""

    name = TextField(max_length=1024)
    description = TextField(required=False, allow_blank=True, max_length=1024)
    level = serializers.RegexField(r"^(system|project)$", max_length=16)
    disable = serializers.BooleanField(required=False, default=False)
    duration = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=MAXIMUM_DURATION_DAYS
    )
    secret = ChosenSecretField()
    permissions = RobotPermissionSerializer(many=True)


class RobotUpdateSerializer(RequestSerializer):
    """Harbor's ``Robot`` as it is put back: name and level must be what they were.

    With its name it is a whole robot, whose empty description and false ``disable`` clients leave
    out; without, what is left out stays.
    """

    name = TextField(required=False, allow_blank=True, max_length=1024)
    level = TextField(required=False, allow_blank=True, max_length=16)
    description = TextField(required=False, allow_blank=True, max_length=1024)
    disable = serializers.BooleanField(required=False)
    duration = serializers.IntegerField(
        required=False, allow_null=True, min_value=-1, max_value=MAXIMUM_DURATION_DAYS
    )
    permissions = RobotPermissionSerializer(many=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Complete a whole robot."""
        return {"description": "", "disable": False, **attrs} if attrs.get("name") else attrs


class RobotSecretSerializer(ResponseSerializer):
    """The new secret, shown once; empty when the client has chosen it."""

    always = frozenset({"secret"})

    secret = serializers.CharField()


class RobotCreatedSerializer(ResponseSerializer):
    """A new robot with its secret, shown once."""

    always = frozenset({"id", "name", "secret", "expires_at"})

    id = serializers.IntegerField()
    name = serializers.SerializerMethodField()
    secret = serializers.SerializerMethodField()
    creation_time = TimestampField(source="created_at")
    expires_at = serializers.SerializerMethodField()

    def get_name(self, robot: Robot) -> str:
        """Return the login name."""
        return login_name(robot)

    def get_secret(self, robot: Robot) -> str:
        """Return the secret that came with the robot."""
        return str(self.context["secret"])

    def get_expires_at(self, robot: Robot) -> int:
        """Return the expiry in seconds since 1970, -1 for never."""
        return expiry_seconds(robot)


class RobotSerializer(ResponseSerializer):
    """Harbor's ``Robot``."""

    always = frozenset({"editable", "disable", "permissions"})

    id = serializers.IntegerField()
    name = serializers.SerializerMethodField()
    description = serializers.CharField()
    level = serializers.SerializerMethodField()
    duration = serializers.SerializerMethodField()
    editable = serializers.SerializerMethodField()
    disable = serializers.BooleanField(source="is_disabled")
    expires_at = serializers.SerializerMethodField()
    permissions: Any = serializers.SerializerMethodField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")
    last_used_at = TimestampField()
    created_by = serializers.CharField()
    creator_type = serializers.SerializerMethodField()
    creator_ref = serializers.SerializerMethodField()

    def get_name(self, robot: Robot) -> str:
        """Return the login name."""
        return login_name(robot)

    def get_creator_type(self, robot: Robot) -> str:
        """Return ``local`` for a user's robot, ``robot`` for a robot's, or nothing."""
        return CREATOR_TYPES.get(robot.creator.partition(":")[0], "")

    def get_creator_ref(self, robot: Robot) -> int | None:
        """Return the id of that user or robot."""
        kind, _, number = robot.creator.partition(":")
        return int(number) if kind in CREATOR_TYPES else None

    def get_level(self, robot: Robot) -> str:
        """Return ``system`` or ``project``."""
        return KIND_SYSTEM if robot.project_id is None else KIND_PROJECT

    def get_duration(self, robot: Robot) -> int:
        """Return the days from creation to expiry, -1 for ever."""
        return FOR_EVER if robot.duration_days is None else robot.duration_days

    def get_editable(self, robot: Robot) -> bool:
        """Return True: no robot is made by the product itself."""
        return True

    def get_expires_at(self, robot: Robot) -> int:
        """Return the expiry in seconds since 1970, -1 for never."""
        return expiry_seconds(robot)

    def get_permissions(self, robot: Robot) -> list[dict[str, Any]]:
        """Return the permissions by namespace."""
        return [
            {
                "kind": KIND_SYSTEM if namespace == THE_SYSTEM else KIND_PROJECT,
                "namespace": namespace,
                "access": [
                    dict(zip(("resource", "action"), name.split(":", 1), strict=True))
                    for name in sorted(names)
                ],
            }
            for namespace, names in sorted(robot.permissions.items())
        ]


class RobotSecretRequestSerializer(ExactRequestSerializer):
    """A request for a new secret, chosen or made; the old one may go on working for a while.

    A misspelt time would end the old one at once. Clients may send a whole robot, of which only
    the secret counts.
    """

    sent_along = frozenset(RobotSerializer().fields)

    secret = ChosenSecretField(allow_null=True)
    overlap_seconds = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=30 * 86_400
    )


def expiry_seconds(robot: Robot) -> int:
    """Return when the robot expires, in seconds since 1970; -1 for never."""
    return -1 if robot.expires_at is None else int(robot.expires_at.timestamp())


def wanted_permissions(entries: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Return namespace to permission names; ``/`` is the system, ``*`` every project.

    Raises ``BadRequest`` when kind and namespace contradict each other.
    """
    wanted: dict[str, set[str]] = {}
    for entry in entries:
        is_system = entry["namespace"] == THE_SYSTEM
        if is_system != (entry["kind"] == KIND_SYSTEM):
            raise BadRequest('permissions: kind "system" goes with namespace "/" only.')
        names = {f"{access['resource']}:{access['action']}" for access in entry["access"]}
        wanted.setdefault(entry["namespace"], set()).update(names)
    return wanted
