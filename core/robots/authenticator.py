"""Turns a robot's name and secret into an actor; named in the setting ``AUTHENTICATORS``.

One statement for each login, and one more for robots of the system that name projects. Every
name that begins with the robot prefix is a robot's, so such a login never reaches the
password check of people.
"""

import hmac
from datetime import datetime, timedelta

from core.authn.errors import InvalidCredentials
from core.authn.rules import earlier
from core.authn.types import Credentials
from core.common.clock import now as current_time
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed, secret_hash
from core.rbac.types import Actor, ActorKind
from core.robots import queries
from core.robots.models import Robot

USE_RECORDED_EVERY = timedelta(minutes=1)
"""The last use of a robot is stored at most this often."""

_SUBJECT_PREFIX = f"{ActorKind.ROBOT}:"


def authenticate(credentials: Credentials, origin: Origin) -> Actor | None:
    """Return the robot's actor, or None when the name is not a robot's.

    Raises ``InvalidCredentials`` alike for unknown, disabled and expired robots and for a
    wrong secret, so that a caller learns nothing about which robots there are.
    """
    if not credentials.username.startswith(queries.robot_name_prefix()):
        return None
    if not is_well_formed(credentials.secret, "rob"):
        raise InvalidCredentials
    at = current_time()
    robot = queries.find_by_login(credentials.username)
    if robot is None or not queries.is_usable(robot, at):
        raise InvalidCredentials
    presented = secret_hash(credentials.secret)
    if hmac.compare_digest(presented, bytes(robot.secret_hash)):
        ends_at = robot.expires_at
    elif _is_previous(robot, presented, at):
        ends_at = earlier(robot.expires_at, robot.previous_valid_until)
    else:
        raise InvalidCredentials
    _note_use(robot, at)
    return _actor(robot, origin, ends_at)


def load(subject: str, origin: Origin) -> Actor | None:
    """Return the actor of a subject such as ``robot:7``, or None when it is no robot.

    Raises ``InvalidCredentials`` when the robot is gone, disabled or expired.
    """
    robot_id = subject.removeprefix(_SUBJECT_PREFIX)
    if not subject.startswith(_SUBJECT_PREFIX) or not robot_id.isdecimal():
        return None
    robot = Robot.objects.select_related("project").filter(pk=int(robot_id)).first()
    at = current_time()
    if robot is None or not queries.is_usable(robot, at):
        raise InvalidCredentials
    _note_use(robot, at)
    return _actor(robot, origin, robot.expires_at)


def _is_previous(robot: Robot, presented: bytes, at: datetime) -> bool:
    if robot.previous_secret_hash is None or robot.previous_valid_until is None:
        return False
    return at < robot.previous_valid_until and hmac.compare_digest(
        presented, bytes(robot.previous_secret_hash)
    )


def _note_use(robot: Robot, at: datetime) -> None:
    if robot.last_used_at is None or robot.last_used_at <= at - USE_RECORDED_EVERY:
        Robot.objects.filter(pk=robot.pk).update(last_used_at=at)


def _actor(robot: Robot, origin: Origin, ends_at: datetime | None) -> Actor:
    """Build the actor; nothing issued to it may outlive ``ends_at``."""
    return Actor(
        kind=ActorKind.ROBOT,
        id=robot.pk,
        label=queries.login_name(robot),
        origin=origin,
        own_permissions=queries.permissions_of(robot),
        expires_at=ends_at,
    )
