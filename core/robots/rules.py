"""Names, secrets, lifetimes and permissions of robots: pure decisions."""

import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from core.authn.errors import InvalidCredentials
from core.authn.rules import earlier
from core.common.errors import DomainError
from core.common.origin import Origin
from core.common.secrets_format import MARK
from core.projects.rules import ensure_valid_name as ensure_valid_project_name
from core.rbac.permissions import PROJECT_ROBOT_PERMISSIONS, SYSTEM_ROBOT_PERMISSIONS
from core.rbac.rules import EVERY_PROJECT, THE_SYSTEM, scope_covers
from core.rbac.types import Actor, ActorKind
from core.robots.errors import (
    OverlapInvalid,
    RobotDurationInvalid,
    RobotNameInvalid,
    RobotPermissionInvalid,
    RobotSecretInvalid,
)
from core.robots.types import Permissions, Power, RobotFacts, RobotName
from core.users.rules import is_strong

MAXIMUM_NAME_LENGTH = 255
MAXIMUM_DURATION_DAYS = 36_500
MAXIMUM_OVERLAP = timedelta(days=30)
FOR_EVER = -1
"""Harbor's way to say that a robot does not expire."""

_SHA256_BYTES = 32

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_SEPARATOR = "+"


def ensure_valid_name(name: str) -> None:
    """Refuse names that could not be told apart in a login. Raises ``RobotNameInvalid``."""
    if len(name) > MAXIMUM_NAME_LENGTH or not _NAME.fullmatch(name):
        raise RobotNameInvalid


def ensure_valid_secret(secret: str) -> None:
    """Refuse a chosen secret that is weak or looks as if we had made it.

    Secrets that bear our mark are taken for unguessable ones: they are neither throttled nor
    slow to compare. Raises ``RobotSecretInvalid``, which never repeats the secret.
    """
    if secret.startswith(MARK):
        raise RobotSecretInvalid(
            f"secret: only secrets that are made here begin with {MARK}. Choose another one, or "
            "leave it empty to have one made."
        )
    if not is_strong(secret):
        raise RobotSecretInvalid


def chosen_hash(stored: bytes) -> str | None:
    """Return the slow hash of a chosen secret; None for the SHA-256 of one that was made here."""
    return None if len(stored) == _SHA256_BYTES else stored.decode("ascii")


def full_name(name: str, project_name: str | None, *, prefix: str) -> str:
    """Return the login name: ``robot-library+ci`` in a project, ``robot-ci`` in the system."""
    if project_name is None:
        return prefix + name
    return f"{prefix}{project_name}{_SEPARATOR}{name}"


@lru_cache(maxsize=1024)
def parse_full_name(text: str, *, prefix: str) -> RobotName | None:
    """Take a login name apart; None when it is not a robot's.

    Neither project nor robot names contain the separator, so no two robots share a name.
    """
    if not text.startswith(prefix):
        return None
    project_name, separator, name = text.removeprefix(prefix).rpartition(_SEPARATOR)
    if not _NAME.fullmatch(name) or (separator and not _NAME.fullmatch(project_name)):
        return None
    return RobotName(project_name=project_name if separator else None, name=name)


def checked_duration(duration_days: int | None) -> int | None:
    """Return the days a robot lasts, None for ever. Raises ``RobotDurationInvalid``."""
    if duration_days is None or duration_days == FOR_EVER:
        return None
    if not 1 <= duration_days <= MAXIMUM_DURATION_DAYS:
        raise RobotDurationInvalid
    return duration_days


def expiry(created_at: datetime, duration_days: int | None) -> datetime | None:
    """Return when a robot stops working, None for never."""
    return None if duration_days is None else created_at + timedelta(days=duration_days)


def is_usable(*, is_disabled: bool, expires_at: datetime | None, now: datetime) -> bool:
    """Tell whether a robot may act at that moment: neither disabled nor expired."""
    return not is_disabled and (expires_at is None or now < expires_at)


def ensure_usable(robot: RobotFacts, now: datetime) -> None:
    """Refuse a robot that may not act now. Raises ``InvalidCredentials``."""
    if not is_usable(is_disabled=robot.is_disabled, expires_at=robot.expires_at, now=now):
        raise InvalidCredentials


def proven_until(robot: RobotFacts, presented_hash: bytes, now: datetime) -> datetime | None:
    """Return until when a secret with that hash proves the robot, None for ever.

    Raises ``InvalidCredentials`` when it does not now.
    """
    ensure_usable(robot, now)
    if hmac.compare_digest(presented_hash, robot.secret_hash):
        return robot.expires_at
    previous = _previous_in_force(robot, now)
    if previous is not None and hmac.compare_digest(presented_hash, previous):
        return earlier(robot.expires_at, robot.previous_valid_until)
    raise InvalidCredentials


def chosen_hashes_in_force(robot: RobotFacts, now: datetime) -> tuple[str, ...]:
    """Return the slow hashes of the chosen secrets that prove the robot now, the newest first."""
    if not is_usable(is_disabled=robot.is_disabled, expires_at=robot.expires_at, now=now):
        return ()
    in_force = (robot.secret_hash, _previous_in_force(robot, now))
    hashes = (chosen_hash(stored) for stored in in_force if stored is not None)
    return tuple(stored_hash for stored_hash in hashes if stored_hash is not None)


def actor_of(
    robot: RobotFacts, permissions: Permissions, origin: Origin, *, ends_at: datetime | None
) -> Actor:
    """Return the robot's actor; nothing issued to it may outlive ``ends_at``."""
    return Actor(
        kind=ActorKind.ROBOT,
        id=robot.id,
        label=robot.label,
        origin=origin,
        own_permissions=permissions,
        expires_at=ends_at,
    )


def outlives(end: datetime | None, bound: datetime | None) -> bool:
    """Tell whether something that ends at ``end`` lives longer than ``bound``."""
    return bound is not None and (end is None or end > bound)


def ensure_valid_overlap(overlap: timedelta) -> None:
    """Refuse to keep an old secret for too long. Raises ``OverlapInvalid``."""
    if not timedelta(0) <= overlap <= MAXIMUM_OVERLAP:
        raise OverlapInvalid


def checked_permissions(
    wanted: Mapping[str, Iterable[str]], *, project_name: str | None
) -> Permissions:
    """Return the permissions as sets, without empty entries.

    A project's robot may hold permissions in its project only; a robot of the system in any
    project (``"*"`` for all) and in the system (``"/"``). Raises ``RobotPermissionInvalid``.
    """
    checked: dict[str, frozenset[str]] = {}
    for namespace, names in wanted.items():
        permissions = frozenset(names)
        if project_name is not None and namespace != project_name:
            raise RobotPermissionInvalid(
                f"permissions.namespace: A robot of project {project_name} cannot hold permissions "
                "elsewhere.",
                detail={"namespace": namespace},
            )
        unknown = sorted(permissions - _grantable(namespace))
        if unknown:
            raise RobotPermissionInvalid(
                f"permissions.access: bad request permission: {', '.join(unknown)}",
                detail={"namespace": namespace, "permissions": unknown},
            )
        if permissions:
            checked[namespace] = permissions
    return checked


def added_permissions(before: Permissions, after: Permissions) -> Permissions:
    """Return what ``after`` holds and ``before`` does not, entry by entry."""
    return _difference(after, before)


def given_permissions(before: Power, after: Power) -> Permissions:
    """Return what somebody gives who changes a robot so.

    That is all it holds when it is to live again or longer, else what is added.
    """
    if lives_longer(before, after):
        return after.permissions
    return added_permissions(before.permissions, after.permissions)


def lives_longer(before: Power, after: Power) -> bool:
    """Tell whether a robot is no longer disabled, or ends later than before."""
    is_enabled = before.is_disabled and not after.is_disabled
    return is_enabled or outlives(after.expires_at, before.expires_at)


def loses_permissions(before: Permissions, after: Permissions) -> bool:
    """Tell whether a change from ``before`` to ``after`` takes anything away."""
    return bool(_difference(before, after))


def held_in_every_project(actor: Actor, permissions: frozenset[str]) -> frozenset[str]:
    """Return those permissions that the actor holds in every project there will ever be."""
    if actor.scope_projects is not None:
        return frozenset()
    held = frozenset(name for name in permissions if scope_covers(actor.scopes, name))
    if actor.is_system_admin:
        return held
    own: Permissions = actor.own_permissions or {}
    return held & own.get(EVERY_PROJECT, frozenset())


def _previous_in_force(robot: RobotFacts, now: datetime) -> bytes | None:
    is_over = robot.previous_valid_until is None or now >= robot.previous_valid_until
    return None if is_over else robot.previous_secret_hash


def _grantable(namespace: str) -> frozenset[str]:
    if namespace == THE_SYSTEM:
        return SYSTEM_ROBOT_PERMISSIONS
    if namespace != EVERY_PROJECT:
        try:
            ensure_valid_project_name(namespace)
        except DomainError as error:
            raise RobotPermissionInvalid(error.message, detail=error.detail) from error
    return PROJECT_ROBOT_PERMISSIONS


def _difference(left: Permissions, right: Permissions) -> Permissions:
    # What holds in every project holds in each of them.
    everywhere = right.get(EVERY_PROJECT, frozenset())
    differences = {}
    for namespace, permissions in left.items():
        rest = permissions - right.get(namespace, frozenset())
        if namespace != THE_SYSTEM:
            rest -= everywhere
        if rest:
            differences[namespace] = rest
    return differences
