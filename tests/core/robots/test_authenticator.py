"""Turning a robot's credentials into an actor."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from core.authn.errors import InvalidCredentials
from core.authn.services import issue_refresh_token, redeem_refresh_token
from core.authn.types import Credentials
from core.common.clock import now
from core.common.secrets_format import new_secret
from core.projects.queries import target_of
from core.rbac.services import allowed
from core.rbac.types import Actor, ActorKind
from core.robots.authenticator import authenticate, load
from core.robots.models import Robot
from core.robots.services import rotate_secret, set_disabled
from core.system_settings import queries as system_settings
from tests.factories.members import ORIGIN
from tests.factories.projects import make_project
from tests.factories.robots import CONTENT, make_robot
from tests.factories.users import session_of
from tests.support.read_only import read_only_database

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def login(username: str, secret: str) -> Actor | None:
    return authenticate(Credentials(username=username, secret=secret), ORIGIN)


def test_a_project_robot_logs_in() -> None:
    project = make_project("team")
    new = make_robot(project=project, duration_days=3)
    actor = login("robot-team+ci", new.secret)
    assert actor is not None
    assert actor == Actor(
        kind=ActorKind.ROBOT,
        id=new.robot.pk,
        label="robot-team+ci",
        origin=ORIGIN,
        own_permissions={"team": frozenset(CONTENT)},
        expires_at=new.robot.expires_at,
    )
    assert allowed(actor, "repository:push", target_of(project))
    assert not allowed(actor, "repository:push", target_of(make_project("other")))


def test_a_system_robot_logs_in() -> None:
    new = make_robot(project=None)
    make_robot(project=make_project("team"))
    actor = login("robot-ci", new.secret)
    assert actor is not None
    assert (actor.id, actor.label, actor.expires_at) == (new.robot.pk, "robot-ci", None)
    assert allowed(actor, "repository:pull", target_of(make_project("any")))
    assert not allowed(actor, "repository:delete", target_of(make_project("any2")))


def test_other_names_are_left_to_other_authenticators() -> None:
    new = make_robot(project=None)
    assert login("ci", new.secret) is None
    assert login("dana", "a password") is None


def test_the_prefix_is_a_setting(settings: Settings) -> None:
    new = make_robot(project=make_project("team"))
    auth = replace(settings.ROADSTEAD.auth, robot_name_prefix="bot$")
    settings.ROADSTEAD = replace(settings.ROADSTEAD, auth=auth)
    system_settings.forget()
    actor = login("bot$team+ci", new.secret)
    assert actor is not None
    assert actor.label == "bot$team+ci"
    assert login("robot-team+ci", new.secret) is None


@pytest.mark.parametrize(
    "username", ["robot-team+other", "robot-ci", "robot-", "robot-TEAM+ci", "robot-x\x00y"]
)
def test_wrong_names(username: str) -> None:
    new = make_robot(project=make_project("team"))
    with pytest.raises(InvalidCredentials):
        login(username, new.secret)


def test_wrong_secrets() -> None:
    new = make_robot(project=make_project("team"))
    other = make_robot("other", project=None)
    for secret in (new.secret + "x", new.secret[:-1], "", "é", new_secret("rob"), other.secret):
        with pytest.raises(InvalidCredentials):
            login("robot-team+ci", secret)
    assert Robot.objects.get(pk=new.robot.pk).last_used_at is None


def test_malformed_secrets_cost_no_statement() -> None:
    make_robot(project=None)
    with CaptureQueriesContext(connection) as statements, pytest.raises(InvalidCredentials):
        login("robot-ci", "rsd_rob_guess")
    assert len(statements) == 0


def test_disabled_and_expired_robots_are_refused_alike() -> None:
    project = make_project("team")
    new = make_robot(project=project, duration_days=1)
    set_disabled(new.robot, True, actor=SYSTEM)
    with pytest.raises(InvalidCredentials) as disabled:
        login("robot-team+ci", new.secret)
    set_disabled(new.robot, False, actor=SYSTEM)
    assert login("robot-team+ci", new.secret) is not None
    Robot.objects.update(expires_at=now())
    with pytest.raises(InvalidCredentials) as expired:
        login("robot-team+ci", new.secret)
    with pytest.raises(InvalidCredentials) as wrong:
        login("robot-team+ci", new_secret("rob"))
    assert disabled.value.message == expired.value.message == wrong.value.message


def test_rotation_without_overlap_ends_the_old_secret() -> None:
    new = make_robot(project=None)
    rotated = rotate_secret(new.robot, actor=SYSTEM)
    assert login("robot-ci", rotated.secret) is not None
    with pytest.raises(InvalidCredentials):
        login("robot-ci", new.secret)


def test_in_an_overlap_both_secrets_work_and_the_old_one_ends_with_it() -> None:
    new = make_robot(project=None, duration_days=30)
    rotated = rotate_secret(new.robot, overlap=timedelta(hours=1), actor=SYSTEM)
    robot = Robot.objects.get()
    by_new, by_old = login("robot-ci", rotated.secret), login("robot-ci", new.secret)
    assert by_new is not None
    assert by_old is not None
    # Nothing issued to the old secret outlives the overlap.
    assert by_new.expires_at == robot.expires_at
    assert by_old.expires_at == robot.previous_valid_until
    Robot.objects.update(previous_valid_until=now())
    assert login("robot-ci", rotated.secret) is not None
    with pytest.raises(InvalidCredentials):
        login("robot-ci", new.secret)


def test_the_last_use_is_stored_at_most_once_a_minute() -> None:
    new = make_robot(project=None)
    with CaptureQueriesContext(connection) as statements:
        login("robot-ci", new.secret)
    assert len(statements) == 2
    first = Robot.objects.get().last_used_at
    assert first is not None
    with CaptureQueriesContext(connection) as statements:
        login("robot-ci", new.secret)
    assert len(statements) == 1
    assert Robot.objects.get().last_used_at == first
    Robot.objects.update(last_used_at=first - timedelta(seconds=61))
    login("robot-ci", new.secret)
    assert (Robot.objects.get().last_used_at or first) > first


def test_load_for_refresh_tokens() -> None:
    new = make_robot(project=make_project("team"))
    actor = load(f"robot:{new.robot.pk}", ORIGIN)
    assert actor == login("robot-team+ci", new.secret)


@pytest.mark.parametrize("subject", ["user:1", "anonymous", "", "robot:", "robot:x", "robot:-1"])
def test_load_of_other_subjects(subject: str) -> None:
    assert load(subject, ORIGIN) is None


def test_load_of_robots_that_may_not_act() -> None:
    new = make_robot(project=None)
    subject = f"robot:{new.robot.pk}"
    set_disabled(new.robot, True, actor=SYSTEM)
    with pytest.raises(InvalidCredentials):
        load(subject, ORIGIN)
    Robot.objects.all().delete()
    with pytest.raises(InvalidCredentials):
        load(subject, ORIGIN)


def test_a_refresh_token_ends_with_the_former_secret_it_was_issued_for() -> None:
    new = make_robot(project=make_project("team"))
    rotate_secret(new.robot, overlap=timedelta(days=3), actor=SYSTEM)
    actor = login("robot-team+ci", new.secret)
    assert actor is not None
    secret = issue_refresh_token(session_of(actor), client="docker")
    with time_machine.travel(now() + timedelta(days=2), tick=False):
        assert redeem_refresh_token(secret, origin=ORIGIN).expires_at == actor.expires_at
    with (
        time_machine.travel(now() + timedelta(days=3, seconds=1), tick=False),
        pytest.raises(InvalidCredentials),
    ):
        redeem_refresh_token(secret, origin=ORIGIN)


def test_a_name_taken_again_is_not_open_to_a_robot_that_logs_in() -> None:
    project = make_project("team")
    new = make_robot(project=None, permissions={"team": CONTENT})
    actor = login("robot-ci", new.secret)
    assert actor is not None
    assert allowed(actor, "repository:push", target_of(project))
    project.delete()
    later = make_project("team")
    for actor in (login("robot-ci", new.secret), load(f"robot:{new.robot.pk}", ORIGIN)):
        assert actor is not None
        assert not allowed(actor, "repository:pull", target_of(later))


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_lets_a_robot_in_without_noting_it() -> None:
    new = make_robot(project=make_project("team"))
    name = "robot-team+ci"
    with read_only_database():
        assert login(name, new.secret) is not None
        assert load(f"robot:{new.robot.pk}", ORIGIN) is not None
        assert Robot.objects.get().last_used_at is None
    assert login(name, new.secret) is not None
    assert Robot.objects.get().last_used_at is not None
