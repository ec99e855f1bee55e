"""Creating, changing and removing robots."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.audit.models import AuditEntry
from core.common.clock import now
from core.common.errors import ErrorKind
from core.common.secrets_format import is_well_formed, secret_hash
from core.projects.errors import ProjectUnknown
from core.projects.events import ProjectDeleted
from core.projects.models import Project
from core.rbac.types import Actor, ActorKind
from core.robots import queries
from core.robots.errors import (
    OverlapInvalid,
    RobotDurationInvalid,
    RobotNameTaken,
    RobotPermissionInvalid,
    RobotUnknown,
    ScopeTooWide,
)
from core.robots.models import Robot
from core.robots.services import (
    create_robot,
    delete_robot,
    forget_project,
    rotate_secret,
    set_disabled,
    update_robot,
)
from core.robots.subscribers import SUBSCRIPTIONS
from core.users.models import Revocation
from tests.factories.members import ORIGIN, actor_of, make_member, make_person
from tests.factories.projects import make_project
from tests.factories.robots import CONTENT, make_robot

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def revoked() -> dict[str, bool]:
    """Subjects whose registry tokens ended, and whether their logins ended too."""
    return {row.subject: row.credentials_generation > 0 for row in Revocation.objects.all()}


def robot_actor(own: dict[str, frozenset[str]]) -> Actor:
    return Actor(kind=ActorKind.ROBOT, id=99, label="robot-x", origin=ORIGIN, own_permissions=own)


def test_create() -> None:
    project = make_project("team")
    new = create_robot(
        "ci",
        project=project,
        permissions={"team": ["repository:push", "repository:pull"]},
        duration_days=30,
        description="Builds.",
        actor=SYSTEM,
    )
    assert is_well_formed(new.secret, "rob")
    assert new.secret not in repr(new)
    robot = queries.get_robot(new.robot.pk)
    assert bytes(robot.secret_hash) == secret_hash(new.secret)
    assert robot.secret_hint == new.secret[-4:]
    assert robot.permissions == {"team": ["repository:pull", "repository:push"]}
    assert robot.expires_at == robot.created_at + timedelta(days=30)
    assert queries.login_name(robot) == "robot-team+ci"
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target_label) == ("robots.robot.created", "robot-team+ci")
    assert new.secret not in str(entry.detail)


def test_names_are_unique_in_project_and_system() -> None:
    one, two = make_project("one"), make_project("two")
    for project in (one, two, None):
        make_robot(project=project)
    for project in (one, None):
        with pytest.raises(RobotNameTaken) as caught:
            make_robot(project=project)
        assert caught.value.kind is ErrorKind.CONFLICT
    assert Robot.objects.count() == 3


def test_create_in_a_deleted_project() -> None:
    project = make_project("team")
    Project.objects.all().delete()
    with pytest.raises(ProjectUnknown):
        make_robot(project=project)


def test_create_refuses_bad_input() -> None:
    project = make_project("team")
    with pytest.raises(RobotPermissionInvalid):
        make_robot(project=project, permissions={"team": ["repository:fly"]})
    with pytest.raises(RobotPermissionInvalid):
        make_robot(project=None, permissions={"missing": ["repository:pull"]})
    with pytest.raises(RobotDurationInvalid):
        make_robot(project=project, duration_days=0)
    assert not Robot.objects.exists()


def test_a_project_administrator_gives_everything_in_the_project_only() -> None:
    project, other = make_project("team"), make_project("other")
    olivia = make_person("olivia")
    make_member(project, olivia, "projectAdmin")
    actor = actor_of(olivia)
    every = ["member:create", "project:delete", "metadata:list", *CONTENT]
    create_robot(
        "ci", project=project, permissions={"team": every}, duration_days=None, actor=actor
    )
    for namespace, permission in (
        ("other", "repository:pull"),
        ("*", "repository:pull"),
        ("/", "user:list"),
    ):
        with pytest.raises(ScopeTooWide) as caught:
            create_robot(
                "ci",
                project=None,
                permissions={namespace: [permission]},
                duration_days=None,
                actor=actor,
            )
        assert caught.value.kind is ErrorKind.DENIED
    assert other.robots.count() == 0


def test_a_limited_token_cannot_make_a_wider_robot() -> None:
    project, olivia = make_project("team"), make_person("olivia")
    make_member(project, olivia, "projectAdmin")
    with pytest.raises(ScopeTooWide):
        create_robot(
            "ci",
            project=project,
            permissions={"team": CONTENT},
            duration_days=None,
            actor=actor_of(olivia, scopes={"management:write"}),
        )


@pytest.mark.parametrize(
    ("own", "permission", "may_give"),
    [
        ({"team": frozenset({"robot:create", "repository:pull"})}, "repository:pull", True),
        ({"team": frozenset({"robot:create", "repository:pull"})}, "repository:push", False),
        ({"*": frozenset({"repository:push"})}, "repository:push", True),
        ({"/": frozenset({"robot:create"})}, "repository:push", False),
    ],
)
def test_a_robot_gives_what_it_holds(
    own: dict[str, frozenset[str]], permission: str, may_give: bool
) -> None:
    project = make_project("team")

    def create() -> None:
        create_robot(
            "child",
            project=project,
            permissions={"team": [permission]},
            duration_days=None,
            actor=robot_actor(own),
        )

    if may_give:
        create()
    else:
        with pytest.raises(ScopeTooWide):
            create()
    assert Robot.objects.exists() == may_give


def test_rotate_without_overlap() -> None:
    new = make_robot(project=make_project("team"))
    rotated = rotate_secret(new.robot, actor=SYSTEM)
    robot = queries.get_robot(new.robot.pk)
    assert rotated.secret != new.secret
    assert bytes(robot.secret_hash) == secret_hash(rotated.secret)
    assert (robot.previous_secret_hash, robot.previous_valid_until) == (None, None)
    assert revoked() == {f"robot:{robot.pk}": True}
    entry = AuditEntry.objects.get(action="robots.secret.rotated")
    assert entry.detail == {"overlap_seconds": 0, "chosen": False}


def test_rotate_with_overlap_keeps_one_old_secret() -> None:
    new = make_robot(project=None)
    second = rotate_secret(new.robot, overlap=timedelta(hours=1), actor=SYSTEM)
    third = rotate_secret(new.robot, overlap=timedelta(hours=2), actor=SYSTEM)
    robot = queries.get_robot(new.robot.pk)
    assert robot.previous_secret_hash is not None
    assert bytes(robot.previous_secret_hash) == secret_hash(second.secret)
    assert bytes(robot.secret_hash) == secret_hash(third.secret)
    assert robot.previous_valid_until == robot.updated_at + timedelta(hours=2)


def test_rotate_refuses_a_silly_overlap() -> None:
    new = make_robot(project=None)
    with pytest.raises(OverlapInvalid):
        rotate_secret(new.robot, overlap=timedelta(days=31), actor=SYSTEM)
    assert bytes(queries.get_robot(new.robot.pk).secret_hash) == secret_hash(new.secret)


def test_nobody_takes_over_a_wider_robot_by_its_secret() -> None:
    project, hugo = make_project("team"), make_person("hugo")
    make_member(project, hugo, "guest")
    robot = make_robot(project=project).robot
    with pytest.raises(ScopeTooWide):
        rotate_secret(robot, actor=actor_of(hugo))
    assert revoked() == {}


def test_disable_and_enable() -> None:
    robot = make_robot(project=None).robot
    assert set_disabled(robot, True, actor=SYSTEM).is_disabled
    assert revoked() == {f"robot:{robot.pk}": True}
    assert not set_disabled(robot, False, actor=SYSTEM).is_disabled


def test_update_that_takes_permissions_withdraws_tokens_only() -> None:
    robot = make_robot(project=make_project("team")).robot
    update_robot(robot, permissions={"team": ["repository:pull"]}, actor=SYSTEM)
    assert queries.get_robot(robot.pk).permissions == {"team": ["repository:pull"]}
    assert revoked() == {f"robot:{robot.pk}": False}


def test_update_that_adds_or_describes_withdraws_nothing() -> None:
    robot = make_robot(project=make_project("team")).robot
    wider = {"team": [*CONTENT, "tag:list"]}
    updated = update_robot(robot, permissions=wider, description="New.", actor=SYSTEM)
    assert updated.description == "New."
    assert revoked() == {}


def test_update_checks_added_permissions_only() -> None:
    project, hugo = make_project("team"), make_person("hugo")
    make_member(project, hugo, "guest")
    robot = make_robot(project=project).robot
    actor = actor_of(hugo)
    assert update_robot(robot, description="Builds.", actor=actor).description == "Builds."
    with pytest.raises(ScopeTooWide):
        update_robot(robot, permissions={"team": [*CONTENT, "tag:delete"]}, actor=actor)
    assert queries.get_robot(robot.pk).permissions == {"team": sorted(CONTENT)}


@pytest.mark.parametrize(
    ("change", "is_power"),
    [
        ({"is_disabled": False}, True),
        ({"duration_days": -1}, True),
        ({"duration_days": 400}, True),
        ({"duration_days": 31, "permissions": {"team": ["project:read"]}}, False),
        ({"is_disabled": False, "permissions": {"team": ["project:read"]}}, False),
        ({"is_disabled": False, "permissions": {"team": CONTENT}}, True),
        ({"permissions": {"team": CONTENT}}, False),
        ({"duration_days": 30, "is_disabled": True, "description": "Same."}, False),
        ({"duration_days": 29}, False),
    ],
)
def test_nobody_revives_a_robot_that_holds_more(change: dict[str, Any], is_power: bool) -> None:
    """Neither a guest, nor a token of somebody who holds all of it and may not use it."""
    project, hugo, olivia = make_project("team"), make_person("hugo"), make_person("olivia")
    make_member(project, hugo, "guest")
    make_member(project, olivia, "projectAdmin")
    robot = make_robot(project=project, duration_days=30).robot
    set_disabled(robot, True, actor=SYSTEM)
    limited = actor_of(olivia, scopes={"management:write"})
    for actor in (actor_of(hugo), limited):
        before = queries.get_robot(robot.pk)
        if is_power:
            with pytest.raises(ScopeTooWide):
                update_robot(robot, actor=actor, **change)
            assert Robot.objects.filter(pk=robot.pk, updated_at=before.updated_at).exists()
        else:
            update_robot(robot, actor=actor, **change)
    update_robot(robot, actor=actor_of(olivia), **change)


def test_robots_of_the_system_are_revived_by_those_who_hold_all_of_it() -> None:
    make_project("one")
    own = {"one": frozenset(CONTENT), "/": frozenset({"user:list"})}
    robot = make_robot(project=None, permissions=own).robot
    for actor, is_allowed in (
        (robot_actor({**own, "/": frozenset({"robot:update"})}), False),
        (robot_actor({**own, "one": frozenset({"repository:pull"})}), False),
        (robot_actor(own), True),
        (replace(robot_actor(own), expires_at=now() + timedelta(days=1)), False),
    ):
        set_disabled(robot, True, actor=actor)
        if is_allowed:
            set_disabled(robot, False, actor=actor)
        else:
            with pytest.raises(ScopeTooWide):
                set_disabled(robot, False, actor=actor)


def test_a_duration_that_stays_leaves_the_expiry() -> None:
    """Clients put back the whole robot that they have read to change something else."""
    end = now() + timedelta(days=2)
    ending = replace(SYSTEM, expires_at=end)
    for name, days in (("month", 30), ("for ever", None)):
        robot = create_robot(
            name.replace(" ", "-"),
            project=None,
            permissions={"*": CONTENT},
            duration_days=days,
            actor=ending,
        ).robot
        same = update_robot(robot, duration_days=days, description="New.", actor=SYSTEM)
        assert (same.duration_days, same.expires_at) == (days, end)
        longer = update_robot(robot, duration_days=31, actor=SYSTEM)
        assert longer.expires_at == robot.created_at + timedelta(days=31)


def test_durations_count_from_creation() -> None:
    robot = make_robot(project=None, duration_days=10).robot
    updated = update_robot(robot, duration_days=5, actor=SYSTEM)
    assert updated.expires_at == robot.created_at + timedelta(days=5)
    assert revoked() == {f"robot:{robot.pk}": False}
    assert update_robot(robot, description="x", actor=SYSTEM).duration_days == 5
    assert update_robot(robot, duration_days=-1, actor=SYSTEM).expires_at is None


def test_a_duration_that_has_passed_ends_everything() -> None:
    robot = make_robot(project=None).robot
    Robot.objects.update(created_at=robot.created_at - timedelta(days=3))
    updated = update_robot(robot, duration_days=2, actor=SYSTEM)
    assert not queries.is_usable(updated, robot.created_at)
    assert revoked() == {f"robot:{robot.pk}": True}


def test_delete() -> None:
    robot = make_robot(project=make_project("team")).robot
    number = robot.pk
    delete_robot(robot, actor=SYSTEM)
    assert not Robot.objects.exists()
    assert revoked() == {f"robot:{number}": True}
    assert AuditEntry.objects.get(action="robots.robot.deleted").target_id == str(number)


def test_changing_what_is_gone() -> None:
    robot = make_robot(project=None).robot
    Robot.objects.all().delete()
    with pytest.raises(RobotUnknown):
        rotate_secret(robot, actor=SYSTEM)
    with pytest.raises(RobotUnknown):
        update_robot(robot, description="x", actor=SYSTEM)
    with pytest.raises(RobotUnknown):
        delete_robot(robot, actor=SYSTEM)
    with pytest.raises(RobotUnknown):
        queries.get_robot(robot.pk)


def test_a_deleted_projects_name_leaves_the_systems_robots() -> None:
    one = make_project("one")
    make_project("two")
    both = make_robot("a", project=None, permissions={"one": CONTENT, "two": CONTENT}).robot
    everywhere = make_robot("b", project=None).robot
    (subscription,) = SUBSCRIPTIONS
    assert subscription.event_type is ProjectDeleted
    subscription.handler(ProjectDeleted(project_id=one.pk + 1, project_name="one"))
    assert queries.get_robot(both.pk).permissions.keys() == {"one", "two"}
    subscription.handler(ProjectDeleted(project_id=one.pk, project_name="one"))
    assert queries.get_robot(both.pk).permissions == {"two": sorted(CONTENT)}
    assert queries.permissions_of(queries.get_robot(everywhere.pk)) == {"*": frozenset(CONTENT)}
    assert revoked() == {f"robot:{both.pk}": False}
    assert forget_project("one", project_id=one.pk, actor=SYSTEM) == 0


def test_a_name_taken_again_means_nothing_to_robots_of_the_system() -> None:
    project = make_project("one")
    robot = make_robot(project=None, permissions={"one": CONTENT, "/": ["user:list"]}).robot
    project.delete()
    make_project("one")
    robot.refresh_from_db()
    assert queries.permissions_of(robot) == {"/": frozenset({"user:list"})}
    update_robot(robot, description="still not", actor=SYSTEM)
    assert "one" not in queries.permissions_of(queries.get_robot(robot.pk))
    limited = robot_actor({"/": frozenset({"user:list", "robot:update"})})
    with pytest.raises(ScopeTooWide):
        update_robot(robot, permissions={"one": CONTENT, "/": ["user:list"]}, actor=limited)
    update_robot(robot, permissions={"one": CONTENT}, actor=SYSTEM)
    assert queries.permissions_of(queries.get_robot(robot.pk)) == {"one": frozenset(CONTENT)}


def test_projects_are_locked_before_the_robots_that_name_them() -> None:
    """As by whoever renames a project; the other way round each could wait for the other."""
    make_project("one")
    robot = make_robot(project=None, permissions={"one": CONTENT}).robot
    with CaptureQueriesContext(connection) as statements:
        update_robot(robot, permissions={"one": ["repository:pull"]}, actor=SYSTEM)
    locked = [sql for it in statements if " FOR " in (sql := str(it["sql"]))]
    assert ["projects_project" in locked[0], "robots_robot" in locked[1]] == [True, True], locked


def test_nobody_makes_a_robot_that_outlives_their_credentials() -> None:
    project = make_project("team")
    end = now() + timedelta(days=2)
    ending = replace(SYSTEM, expires_at=end)
    longer = make_robot("longer", project=project).robot

    def create(name: str, duration_days: int | None) -> Robot:
        made = create_robot(
            name,
            project=project,
            permissions={"team": CONTENT},
            duration_days=duration_days,
            actor=ending,
        )
        return made.robot

    robot = create("ci", None)
    assert robot.expires_at == create("week", 7).expires_at == end
    assert create("day", 1).expires_at != end
    rotate_secret(robot, actor=ending)
    update_robot(robot, description="changed", duration_days=1, actor=ending)
    update_robot(longer, description="changed", duration_days=None, actor=ending)
    with pytest.raises(ScopeTooWide):
        update_robot(robot, duration_days=None, actor=ending)
    with pytest.raises(ScopeTooWide):
        update_robot(longer, permissions={"team": [*CONTENT, "tag:list"]}, actor=ending)
    with pytest.raises(ScopeTooWide):
        rotate_secret(longer, actor=ending)


def test_lists() -> None:
    project = make_project("team")
    for name in ("b", "a"):
        make_robot(name, project=project)
    make_robot("system", project=None)
    assert [robot.name for robot in queries.list_robots(project)] == ["a", "b"]
    assert [robot.name for robot in queries.list_robots(None)] == ["system"]
