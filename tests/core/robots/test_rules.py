"""Names, secrets, lifetimes and permissions of robots."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.authn.errors import InvalidCredentials
from core.common.origin import Origin
from core.common.secrets_format import new_secret, secret_hash
from core.rbac.types import Actor, ActorKind
from core.robots import rules
from core.robots.errors import (
    OverlapInvalid,
    RobotDurationInvalid,
    RobotNameInvalid,
    RobotPermissionInvalid,
    RobotSecretInvalid,
)
from core.robots.types import Permissions, Power, RobotFacts, RobotName

pytestmark = pytest.mark.pure

ORIGIN = Origin(address=None, user_agent="", request_id="r")
PULL = frozenset({"repository:pull"})
PUSH = frozenset({"repository:push"})
START = datetime(2030, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)


@pytest.mark.parametrize("name", ["ci", "a", "9", "build.x86_64-linux", "x" * 255])
def test_accepts_names(name: str) -> None:
    rules.ensure_valid_name(name)


@pytest.mark.parametrize(
    "name", ["", "CI", "a+b", "a$b", "a--b", "-a", "a b", "a/b", "a\x00", "a\n", "x" * 256]
)
def test_refuses_names(name: str) -> None:
    with pytest.raises(RobotNameInvalid):
        rules.ensure_valid_name(name)


@pytest.mark.parametrize(
    "secret", ["Aa345678", "Harbor12345", "Ää3" + "x" * 125, " Aa34567 ", "xrsd_Rob_1", "Rsd_rob_1"]
)
def test_accepts_chosen_secrets(secret: str) -> None:
    rules.ensure_valid_secret(secret)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("Aa34567", "8 to 128"),
        ("Aa3" + "x" * 126, "8 to 128"),
        ("aa345678", "upper-case"),
        ("AA345678", "lower-case"),
        ("Aabcdefgh", "digit"),
        ("Aa345678\x00", "8 to 128"),
        ("Aa345678\ud800", "8 to 128"),
        ("rsd_Secret1", "begin with rsd_"),
        pytest.param(new_secret("rob"), "begin with rsd_", id="a robot's that was made"),
        pytest.param(new_secret("pat"), "begin with rsd_", id="a personal token"),
    ],
)
def test_refuses_chosen_secrets_without_repeating_them(secret: str, reason: str) -> None:
    with pytest.raises(RobotSecretInvalid, match=reason) as caught:
        rules.ensure_valid_secret(secret)
    assert secret not in caught.value.message


MADE = [secret_hash(f"made {number}") for number in range(2)]
SLOW = [b"argon2$argon2id$one", b"argon2$argon2id$two"]


@pytest.mark.parametrize("current", [MADE[0], SLOW[0]], ids=["made", "chosen"])
@pytest.mark.parametrize("previous", [None, MADE[1], SLOW[1]], ids=["none", "made", "chosen"])
@pytest.mark.parametrize("is_over", [False, True])
def test_secrets_in_force(current: bytes, previous: bytes | None, is_over: bool) -> None:
    until = None if previous is None else START + timedelta(seconds=0 if is_over else 1)
    robot = RobotFacts(1, "robot-ci", current, previous, until, False, None, None)
    in_force = {current: None} | ({} if previous is None or is_over else {previous: until})
    chosen = [stored.decode() for stored in in_force if stored in SLOW]
    assert rules.chosen_hashes_in_force(robot, START) == tuple(chosen)
    for presented in (*MADE, *SLOW):
        if presented in in_force:
            assert rules.proven_until(robot, presented, START) == in_force[presented]
        else:
            with pytest.raises(InvalidCredentials):
                rules.proven_until(robot, presented, START)
    for ended in (replace(robot, is_disabled=True), replace(robot, expires_at=START)):
        assert rules.chosen_hashes_in_force(ended, START) == ()


@pytest.mark.parametrize("prefix", ["robot-", "robot$", "bot+", "r"])
@pytest.mark.parametrize("project", [None, "library", "a.b-c"])
def test_full_names_come_apart_again(prefix: str, project: str | None) -> None:
    text = rules.full_name("ci.x", project, prefix=prefix)
    assert rules.parse_full_name(text, prefix=prefix) == RobotName(project, "ci.x")


def test_full_names() -> None:
    assert rules.full_name("ci", "library", prefix="robot-") == "robot-library+ci"
    assert rules.full_name("ci", None, prefix="robot-") == "robot-ci"


@pytest.mark.parametrize(
    "text",
    ["", "ci", "robot-", "robot-+ci", "robot-a+", "robot-a+b+c", "robot-A", "robot-a\x00"],
)
def test_what_is_no_robots_name(text: str) -> None:
    assert rules.parse_full_name(text, prefix="robot-") is None


@pytest.mark.parametrize(("wanted", "stored"), [(None, None), (-1, None), (1, 1), (36_500, 36_500)])
def test_durations(wanted: int | None, stored: int | None) -> None:
    assert rules.checked_duration(wanted) == stored


@pytest.mark.parametrize("wanted", [0, -2, 36_501, 10**12])
def test_durations_out_of_bounds(wanted: int) -> None:
    with pytest.raises(RobotDurationInvalid):
        rules.checked_duration(wanted)


def test_expiry_counts_from_creation() -> None:
    assert rules.expiry(START, 30) == START + timedelta(days=30)
    assert rules.expiry(START, None) is None


@pytest.mark.parametrize("overlap", [timedelta(0), timedelta(hours=1), timedelta(days=30)])
def test_overlaps(overlap: timedelta) -> None:
    rules.ensure_valid_overlap(overlap)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=30, seconds=1)])
def test_overlaps_out_of_bounds(overlap: timedelta) -> None:
    with pytest.raises(OverlapInvalid):
        rules.ensure_valid_overlap(overlap)


def test_permissions_of_a_project_robot() -> None:
    wanted = {"team": ["repository:pull", "repository:pull", "tag:list"]}
    assert rules.checked_permissions(wanted, project_name="team") == {
        "team": {"repository:pull", "tag:list"}
    }
    assert rules.checked_permissions({"team": []}, project_name="team") == {}


@pytest.mark.parametrize("namespace", ["other", "*", "/"])
def test_a_project_robot_stays_in_its_project(namespace: str) -> None:
    with pytest.raises(RobotPermissionInvalid):
        rules.checked_permissions({namespace: ["repository:pull"]}, project_name="team")


def test_a_system_robot_holds_system_and_projects() -> None:
    wanted = {"/": ["user:list"], "*": ["repository:pull"], "team": ["repository:push"]}
    assert rules.checked_permissions(wanted, project_name=None) == {
        "/": {"user:list"},
        "*": PULL,
        "team": PUSH,
    }


@pytest.mark.parametrize(
    ("namespace", "permission"),
    [
        ("team", "repository:fly"),
        ("team", "user:list"),
        ("team", "robot:update"),
        ("team", "configuration:update"),
        ("*", "user:create"),
        ("/", "repository:pull"),
        ("/", "configuration:update"),
        ("/", "role:create"),
        ("Not A Project", "repository:pull"),
        ("te\x00am", "repository:pull"),
    ],
)
def test_what_robots_cannot_hold(namespace: str, permission: str) -> None:
    with pytest.raises(RobotPermissionInvalid):
        rules.checked_permissions({namespace: [permission]}, project_name=None)


def test_added_and_lost_permissions() -> None:
    assert rules.added_permissions({"a": PULL}, {"a": PULL | PUSH, "b": PULL}) == {
        "a": PUSH,
        "b": PULL,
    }
    assert rules.added_permissions({"*": PULL}, {"a": PULL}) == {}
    assert rules.added_permissions({"a": PULL}, {"*": PULL}) == {"*": PULL}
    assert rules.added_permissions(
        {"*": frozenset({"label:read"})}, {"/": frozenset({"label:read"})}
    ) == {"/": {"label:read"}}
    assert rules.loses_permissions({"*": PULL}, {"a": PULL})
    assert not rules.loses_permissions({"a": PULL}, {"*": PULL})
    assert not rules.loses_permissions({}, {"a": PULL})


@pytest.mark.parametrize(
    ("before", "after", "given"),
    [
        (Power({"a": PULL}, False, START), Power({"a": PULL | PUSH}, False, START), {"a": PUSH}),
        (Power({"a": PULL}, True, START), Power({"a": PULL | PUSH}, True, START), {"a": PUSH}),
        (Power({"a": PULL}, False, None), Power({"a": PULL}, True, START), {}),
        (Power({"a": PULL}, True, None), Power({"a": PULL}, False, None), {"a": PULL}),
        (Power({"a": PULL}, False, START), Power({"a": PULL}, False, None), {"a": PULL}),
        (Power({"a": PULL | PUSH}, False, START), Power({"a": PUSH}, True, LATER), {"a": PUSH}),
        (Power({"a": PULL}, False, LATER), Power({"a": PULL}, False, START), {}),
    ],
)
def test_what_a_change_gives(before: Power, after: Power, given: Permissions) -> None:
    assert rules.given_permissions(before, after) == given


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        (Actor.system(), PULL | PUSH),
        (Actor.anonymous(ORIGIN), frozenset()),
        (Actor(ActorKind.USER, 1, "u", ORIGIN), frozenset()),
        (Actor(ActorKind.USER, 1, "u", ORIGIN, is_system_admin=True), PULL | PUSH),
        (Actor(ActorKind.USER, 1, "u", ORIGIN, is_system_admin=True, scopes=PULL), PULL),
        (
            Actor(
                ActorKind.USER,
                1,
                "u",
                ORIGIN,
                is_system_admin=True,
                scope_projects=frozenset({"team"}),
            ),
            frozenset(),
        ),
        (Actor(ActorKind.ROBOT, 1, "r", ORIGIN, own_permissions={"*": PUSH}), PUSH),
        (Actor(ActorKind.ROBOT, 1, "r", ORIGIN, own_permissions={"a": PUSH}), frozenset()),
    ],
)
def test_what_is_held_in_every_project(actor: Actor, expected: frozenset[str]) -> None:
    assert rules.held_in_every_project(actor, PULL | PUSH) == expected
