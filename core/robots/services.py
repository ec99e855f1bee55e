"""Creating, changing and removing robots.

Nobody can give a robot more than they hold themselves. Nor can they take over a robot that holds
more by asking for its secret, or let such a one live again or longer: all raise ``ScopeTooWide``.
For an actor whose credentials end, a robot that ends later holds more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from core.audit import services as audit
from core.authn.rules import earlier
from core.common.clock import now as current_time
from core.common.secrets_format import new_secret, secret_hash
from core.database.transactions import durable_write
from core.projects.models import Project
from core.projects.queries import target_of
from core.projects.services import lock_project
from core.rbac.rules import EVERY_PROJECT, THE_SYSTEM
from core.rbac.services import allowed_among
from core.rbac.types import Actor, Target
from core.robots import queries, rules
from core.robots.errors import (
    RobotNameTaken,
    RobotPermissionInvalid,
    RobotUnknown,
    ScopeTooWide,
)
from core.robots.models import Robot
from core.robots.types import UNCHANGED, Permissions, Power, Unchanged
from core.users.passwords import hash_password
from core.users.revocations import revoke_registry_tokens_locked, revoke_subject_locked

_CHANGEABLE = [
    "permissions",
    "project_ids",
    "description",
    "duration_days",
    "expires_at",
    "is_disabled",
    "updated_at",
]


@dataclass(frozen=True, slots=True)
class NewRobot:
    """A robot with its new secret, which nobody can read again."""

    robot: Robot
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _NewSecret:
    """A secret and what is kept of it."""

    text: str = field(repr=False)
    hash: bytes = field(repr=False)
    hint: str

    @classmethod
    def of(cls, chosen: str) -> "_NewSecret":
        """Take a chosen secret or, for an empty one, make one. Raises ``RobotSecretInvalid``."""
        if chosen:
            rules.ensure_valid_secret(chosen)
            # Of a secret that can be guessed, nothing may help to guess it.
            return cls(chosen, hash_password(chosen).encode(), "")
        made = new_secret("rob")
        return cls(made, secret_hash(made), made[-4:])


@durable_write
def create_robot(
    name: str,
    *,
    project: Project | None,
    permissions: Mapping[str, Iterable[str]],
    duration_days: int | None,
    description: str = "",
    is_disabled: bool = False,
    chosen_secret: str = "",
    actor: Actor,
) -> NewRobot:
    """Create a robot of a project, or of the system when ``project`` is None.

    ``permissions`` maps a project name (``"*"`` every project, ``"/"`` the system) to
    permission names; ``duration_days`` None or -1 means for ever. However long that is, the
    robot ends with the credentials of the actor when these end. An empty ``chosen_secret`` has
    one made. Raises ``RobotNameInvalid``, ``RobotNameTaken``, ``RobotPermissionInvalid``,
    ``RobotDurationInvalid``, ``RobotSecretInvalid``, ``ScopeTooWide`` and ``ProjectUnknown``.
    """
    rules.ensure_valid_name(name)
    duration_days = rules.checked_duration(duration_days)
    secret = _NewSecret.of(chosen_secret)
    if project is not None:
        project = lock_project(project)
    checked = rules.checked_permissions(
        permissions, project_name=project.name if project is not None else None
    )
    project_ids = _hold_named_projects(checked) if project is None else {}
    _ensure_within(checked, actor)
    created_at = current_time()
    robot = Robot(
        project=project,
        name=name,
        description=description,
        permissions=_stored(checked),
        project_ids=project_ids,
        secret_hash=secret.hash,
        secret_hint=secret.hint,
        is_disabled=is_disabled,
        duration_days=duration_days,
        expires_at=earlier(rules.expiry(created_at, duration_days), actor.expires_at),
        created_by=actor.label,
        creator=actor.subject,
        created_at=created_at,
        updated_at=created_at,
    )
    try:
        with transaction.atomic():
            robot.save(force_insert=True)
    except IntegrityError as error:
        raise RobotNameTaken from error
    _record(
        "robots.robot.created",
        actor,
        robot,
        {"permissions": robot.permissions, "chosen": bool(chosen_secret)},
    )
    return NewRobot(robot=robot, secret=secret.text)


@durable_write
def update_robot(
    robot: Robot,
    *,
    permissions: Mapping[str, Iterable[str]] | None = None,
    description: str | None = None,
    duration_days: int | Unchanged | None = UNCHANGED,
    is_disabled: bool | None = None,
    actor: Actor,
) -> Robot:
    """Change what is given; the expiry counts from the robot's creation.

    A duration that is not changed leaves the expiry as it is. Raises ``RobotUnknown``,
    ``RobotPermissionInvalid``, ``RobotDurationInvalid`` and ``ScopeTooWide``: for permissions
    that the robot did not have before, and for all that it holds when it is to live again or
    longer.
    """
    asked, project_ids = _checked_for_system(robot, permissions)
    robot = _lock(robot)
    at = current_time()
    before, was_usable = queries.power_of(robot), queries.is_usable(robot, at)
    held = before.permissions
    if permissions is not None:
        if robot.project is None:
            held, robot.project_ids = asked, project_ids
        else:
            held = rules.checked_permissions(permissions, project_name=robot.project.name)
        robot.permissions = _stored(held)
    if description is not None:
        robot.description = description
    if not isinstance(duration_days, Unchanged):
        _set_duration(robot, rules.checked_duration(duration_days))
    if is_disabled is not None:
        robot.is_disabled = is_disabled
    after = Power(held, robot.is_disabled, robot.expires_at)
    _ensure_may_give(before, after, actor, robot)
    robot.updated_at = at
    robot.save(update_fields=_CHANGEABLE)
    if was_usable and not queries.is_usable(robot, at):
        revoke_subject_locked(subject_of(robot))
    elif rules.loses_permissions(before.permissions, held) or rules.outlives(
        before.expires_at, after.expires_at
    ):
        revoke_registry_tokens_locked(subject_of(robot))
    _record_update(actor, robot)
    return robot


def set_disabled(robot: Robot, disabled: bool, *, actor: Actor) -> Robot:
    """Stop the robot or let it work again. Raises as ``update_robot``."""
    return update_robot(robot, is_disabled=disabled, actor=actor)


@durable_write
def rotate_secret(
    robot: Robot,
    *,
    overlap: timedelta = timedelta(0),
    chosen_secret: str = "",
    actor: Actor,
) -> NewRobot:
    """Give the robot a new secret; the old one goes on working for ``overlap``.

    An empty ``chosen_secret`` has one made. Everything issued before ends at once. A second
    rotation ends the overlap of the first. Raises ``RobotUnknown``, ``OverlapInvalid``,
    ``RobotSecretInvalid`` and ``ScopeTooWide``.
    """
    rules.ensure_valid_overlap(overlap)
    # Before the lock: the hash of a chosen one takes its time.
    secret = _NewSecret.of(chosen_secret)
    robot = _lock(robot)
    _ensure_within(queries.permissions_of(robot), actor)
    _ensure_no_longer_than(actor, robot)
    at = current_time()
    robot.previous_secret_hash = bytes(robot.secret_hash) if overlap else None
    robot.previous_valid_until = at + overlap if overlap else None
    robot.secret_hash = secret.hash
    robot.secret_hint = secret.hint
    robot.updated_at = at
    robot.save(
        update_fields=[
            "previous_secret_hash",
            "previous_valid_until",
            "secret_hash",
            "secret_hint",
            "updated_at",
        ]
    )
    # Whoever still uses the old secret logs in with it again, which bounds what they get by
    # the end of the overlap.
    revoke_subject_locked(subject_of(robot))
    _record(
        "robots.secret.rotated",
        actor,
        robot,
        {"overlap_seconds": int(overlap.total_seconds()), "chosen": bool(chosen_secret)},
    )
    return NewRobot(robot=robot, secret=secret.text)


@durable_write
def delete_robot(robot: Robot, *, actor: Actor) -> None:
    """Remove the robot; everything issued to it ends at once. Raises ``RobotUnknown``."""
    robot = _lock(robot)
    subject = subject_of(robot)
    _record("robots.robot.deleted", actor, robot, None)
    robot.delete()
    revoke_subject_locked(subject)


@durable_write
def forget_project(project_name: str, *, project_id: int, actor: Actor) -> int:
    """Take a deleted project's name out of the robots of the system.

    The name has meant nothing since the project was deleted (``queries.permissions_of``); this
    keeps it from being shown. Returns how many robots have lost something.
    """
    robots = list(
        Robot.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(project=None, project_ids__contains={project_name: project_id})
        .order_by("pk")
    )
    at = current_time()
    for robot in robots:
        del robot.permissions[project_name]
        del robot.project_ids[project_name]
        robot.updated_at = at
        robot.save(update_fields=["permissions", "project_ids", "updated_at"])
        revoke_registry_tokens_locked(subject_of(robot))
        _record("robots.robot.updated", actor, robot, {"permissions": robot.permissions})
    return len(robots)


def rename_project_in_robots_locked(old: str, new: str, *, project_id: int, actor: Actor) -> int:
    """Let the rights of robots follow a project that the caller has renamed; return how many.

    What a robot of the system held under the new name was meant for another project, which is
    gone.
    """
    of_system = Q(project=None, project_ids__contains={old: project_id})
    robots = list(
        Robot.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(Q(project_id=project_id) | of_system)
        .order_by("pk")
    )
    at = current_time()
    for robot in robots:
        if old in robot.permissions:
            robot.permissions[new] = robot.permissions.pop(old)
        if old in robot.project_ids:
            robot.project_ids[new] = robot.project_ids.pop(old)
        robot.updated_at = at
        robot.save(update_fields=["permissions", "project_ids", "updated_at"])
        _record("robots.robot.updated", actor, robot, {"permissions": robot.permissions})
    return len(robots)


def subject_of(robot: Robot) -> str:
    """Return the key under which the robot's tokens and revocations are filed."""
    return f"robot:{robot.pk}"


def _lock(robot: Robot) -> Robot:
    locked = (
        Robot.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=robot.pk)
        .first()
    )
    if locked is None:
        raise RobotUnknown
    return locked


def _ensure_within(permissions: Permissions, actor: Actor) -> None:
    for namespace, wanted in permissions.items():
        if namespace == THE_SYSTEM:
            held = allowed_among(actor, wanted, Target.of_system())
        elif namespace == EVERY_PROJECT:
            held = rules.held_in_every_project(actor, wanted)
        else:
            held = allowed_among(actor, wanted, _target_of_name(namespace))
        missing = sorted(wanted - held)
        if missing:
            raise ScopeTooWide(detail={"namespace": namespace, "permissions": missing})


def _set_duration(robot: Robot, duration_days: int | None) -> None:
    """Count the expiry anew, unless nothing changes: it may have ended with a token's."""
    if duration_days != robot.duration_days:
        robot.duration_days = duration_days
        robot.expires_at = rules.expiry(robot.created_at, duration_days)


def _ensure_may_give(before: Power, after: Power, actor: Actor, robot: Robot) -> None:
    """Refuse a change that gives more than the actor holds, or for longer."""
    given = rules.given_permissions(before, after)
    _ensure_within(given, actor)
    if given or rules.lives_longer(before, after):
        _ensure_no_longer_than(actor, robot)


def _ensure_no_longer_than(actor: Actor, robot: Robot) -> None:
    if rules.outlives(robot.expires_at, actor.expires_at):
        raise ScopeTooWide("The robot would outlive the credentials that you use.")


def _checked_for_system(
    robot: Robot, permissions: Mapping[str, Iterable[str]] | None
) -> tuple[Permissions, dict[str, int]]:
    """Return what a robot of the system is to hold, and the ids of the projects it names.

    Called before the robot is locked: who renames a project locks it before its robots.
    """
    if permissions is None or robot.project_id is not None:
        return {}, {}
    checked = rules.checked_permissions(permissions, project_name=None)
    return checked, _hold_named_projects(checked)


def _hold_named_projects(permissions: Permissions) -> dict[str, int]:
    """Return the ids of the named projects, none of which is deleted before the commit."""
    named = permissions.keys() - {EVERY_PROJECT, THE_SYSTEM}
    held = Project.objects.select_for_update(no_key=True).filter(name__in=named).order_by("pk")
    return dict(held.values_list("name", "pk"))


def _target_of_name(project_name: str) -> Target:
    project = Project.objects.filter(name=project_name).first()
    if project is None:
        raise RobotPermissionInvalid(
            f"permissions.namespace: there is no project {project_name}.",
            detail={"namespace": project_name},
        )
    return target_of(project)


def _stored(permissions: Permissions) -> dict[str, list[str]]:
    return {namespace: sorted(names) for namespace, names in sorted(permissions.items())}


def _record_update(actor: Actor, robot: Robot) -> None:
    detail = {
        "permissions": robot.permissions,
        "disabled": robot.is_disabled,
        "duration_days": robot.duration_days,
    }
    _record("robots.robot.updated", actor, robot, detail)


def _record(action: str, actor: Actor, robot: Robot, detail: dict[str, Any] | None) -> None:
    audit.record(
        action,
        actor,
        target_kind="robot",
        target_id=robot.pk,
        target_label=queries.login_name(robot),
        project_id=robot.project_id,
        project_name=robot.project.name if robot.project is not None else "",
        detail=detail,
    )
