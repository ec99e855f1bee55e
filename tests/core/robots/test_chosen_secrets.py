"""Secrets that somebody chose for a robot: they can be guessed, and are treated like passwords."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.audit.models import AuditEntry
from core.authn.errors import InvalidCredentials, LoginThrottled
from core.authn.models import LoginFailure
from core.authn.password_memory import MEMORY
from core.authn.services import authenticate, issue_refresh_token, redeem_refresh_token
from core.authn.types import Credentials
from core.authn.unstored_failures import UNSTORED
from core.common.clock import now
from core.common.secrets_format import is_well_formed, new_secret
from core.rbac.types import Actor
from core.robots import queries, services
from core.robots.errors import RobotSecretInvalid
from core.robots.models import Robot
from core.users import passwords
from tests.core.api.cast import Caller, Cast, basic, body_of, errors_of, make_cast
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.factories.users import ORIGIN, session_of
from tests.support.crowds import at_once
from tests.support.read_only import read_only_database

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
CHOSEN, OTHER = "Chosen-Secret-1", "Other-Secret-22"
BAD_SECRETS = {
    "short": "Short-1",
    "long": "Long-1" + "x" * 123,
    "very long": "Long-1" + "x" * 5000,
    "no upper case": "chosen-secret-1",
    "no lower case": "CHOSEN-SECRET-1",
    "no digit": "Chosen-Secret-x",
    "blank": "        ",
    "line end": "Abcdefg1\n",
    "control character": "Abcd\x7fefg1",
    "ours": new_secret("rob"),
    "a token": new_secret("pat"),
    "marked as ours": "rsd_Chosen-Secret-1",
}


@pytest.fixture(autouse=True)
def _a_fresh_process() -> Iterator[None]:
    MEMORY.clear()
    UNSTORED.forget()
    yield
    MEMORY.clear()
    UNSTORED.forget()


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Collect the hashes that secrets are compared with."""
    hashes: list[str | None] = []
    is_correct = passwords.is_correct

    def noted(password: str, stored_hash: str | None) -> bool:
        hashes.append(stored_hash)
        return is_correct(password, stored_hash)

    monkeypatch.setattr(passwords, "is_correct", noted)
    return hashes


def make_choosing_robot(secret: str = CHOSEN) -> Robot:
    robot = make_robot(project=make_project("team")).robot
    return services.rotate_secret(robot, chosen_secret=secret, actor=SYSTEM).robot


def log_in(secret: str, username: str = "robot-team+ci", address: str = "192.0.2.7") -> Actor:
    origin = replace(ORIGIN, address=address)
    return authenticate(Credentials(username, secret), origin=origin)


def refuse(secret: str, username: str = "robot-team+ci") -> str:
    with pytest.raises(InvalidCredentials) as caught:
        log_in(secret, username)
    return caught.value.message


# --- Over the management API ---------------------------------------------------------


def wanted(**changes: Any) -> dict[str, Any]:
    access = [{"resource": "project", "action": "read"}]
    permission = {"kind": "project", "namespace": "secret", "access": access}
    return {"name": "own", "level": "project", "permissions": [permission], **changes}


def details_of(action: str) -> list[Any]:
    entries = AuditEntry.objects.filter(action=action).order_by("id")
    return list(entries.values_list("detail", flat=True))


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_a_secret_is_chosen_when_a_robot_is_made_and_when_it_is_rotated(cast: Cast) -> None:
    def works(secret: str) -> bool:
        caller = Caller("own", basic("robot-secret+own", secret))
        return caller.get("/projects/secret").status_code == 200

    owner = cast["owner"]
    created = owner.post("/robots", wanted(secret=CHOSEN))
    assert created.status_code == 201
    # Whoever keeps what the answer shows can log in with it.
    assert body_of(created)["secret"] == CHOSEN
    where = created["Location"]
    assert works(CHOSEN)
    # Blanks are part of a secret.
    spaced = f" {OTHER} "
    for secret, overlap in ((OTHER, 0), (spaced, 600)):
        rotated = owner.patch(where, {"secret": secret, "overlap_seconds": overlap})
        assert (rotated.status_code, body_of(rotated)) == (200, {"secret": ""})
    assert [works(secret) for secret in (CHOSEN, OTHER, spaced)] == [False, True, True]
    made = body_of(owner.patch(where, {"secret": ""}))["secret"]
    assert is_well_formed(made, "rob")
    assert [works(secret) for secret in (OTHER, spaced, made)] == [False, False, True]
    assert details_of("robots.robot.created")[-1]["chosen"] is True
    assert details_of("robots.secret.rotated") == [
        {"overlap_seconds": 0, "chosen": True},
        {"overlap_seconds": 600, "chosen": True},
        {"overlap_seconds": 0, "chosen": False},
    ]
    kept = json.dumps(list(AuditEntry.objects.values("detail", "target_label")))
    assert not any(secret in kept for secret in (CHOSEN, OTHER, made))


@pytest.mark.parametrize("kind", BAD_SECRETS)
def test_a_bad_secret_changes_nothing(cast: Cast, kind: str) -> None:
    robot = Robot.objects.get(name="ci")
    for response in (
        cast["owner"].post("/robots", wanted(secret=BAD_SECRETS[kind])),
        cast["owner"].patch(f"/robots/{robot.pk}", {"secret": BAD_SECRETS[kind]}),
    ):
        assert response.status_code == 400
        message = errors_of(response)[0]["message"]
        assert message.startswith("secret: ")
        assert ("rsd_" if "rsd_" in BAD_SECRETS[kind] else "8 to 128 characters") in message
        assert BAD_SECRETS[kind] not in message
    assert not Robot.objects.filter(name="own").exists()
    assert bytes(Robot.objects.get(pk=robot.pk).secret_hash) == bytes(robot.secret_hash)
    assert cast["project_robot"].get("/projects/secret").status_code == 200


@pytest.mark.parametrize("secret", ["Chosen\x00Secret-1", "Chosen\ud800Secret-1"])
def test_what_cannot_be_stored_is_refused(cast: Cast, secret: str) -> None:
    assert cast["owner"].post("/robots", wanted(secret=secret)).status_code == 400
    with pytest.raises(RobotSecretInvalid):
        make_choosing_robot(secret)


# --- What is kept ---------------------------------------------------------------------


def test_a_slow_hash_is_kept_and_nothing_of_the_secret_is_shown() -> None:
    robot = make_choosing_robot()
    stored = bytes(robot.secret_hash).decode()
    assert stored.startswith("argon2$argon2id$")
    assert len(stored) <= 128
    assert robot.secret_hint == ""
    assert services.rotate_secret(robot, actor=SYSTEM).robot.secret_hint != ""


# --- Logging in -------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [timedelta(), timedelta(hours=1)])
@pytest.mark.parametrize("second", ["", OTHER])
@pytest.mark.parametrize("first", ["", CHOSEN])
def test_secrets_of_both_sorts_follow_one_another(
    first: str, second: str, overlap: timedelta
) -> None:
    robot = make_robot(project=make_project("team"), duration_days=30).robot
    before = services.rotate_secret(robot, chosen_secret=first, actor=SYSTEM).secret
    kept = issue_refresh_token(session_of(log_in(before)), client="docker")
    after = services.rotate_secret(
        robot, chosen_secret=second, overlap=overlap, actor=SYSTEM
    ).secret
    robot = queries.get_robot(robot.pk)
    assert log_in(after).expires_at == robot.expires_at
    if overlap:
        assert log_in(before).expires_at == robot.previous_valid_until
        Robot.objects.update(previous_valid_until=now())
    refuse(before)
    log_in(after)
    with pytest.raises(InvalidCredentials):
        redeem_refresh_token(kept, origin=ORIGIN)


def test_the_same_secret_may_be_chosen_again() -> None:
    robot = make_choosing_robot()
    services.rotate_secret(robot, chosen_secret=CHOSEN, overlap=timedelta(hours=1), actor=SYSTEM)
    assert log_in(CHOSEN).expires_at is None


def test_a_verified_secret_is_remembered_until_it_no_longer_counts(
    looked_at: list[str | None],
) -> None:
    robot = make_choosing_robot()
    for _ in range(3):
        log_in(CHOSEN)
    assert len(looked_at) == 1
    services.set_disabled(robot, True, actor=SYSTEM)
    refuse(CHOSEN)
    services.set_disabled(robot, False, actor=SYSTEM)
    log_in(CHOSEN)
    services.rotate_secret(robot, chosen_secret=OTHER, actor=SYSTEM)
    refuse(CHOSEN)
    log_in(OTHER)


def test_who_may_not_log_in_learns_nothing(looked_at: list[str | None]) -> None:
    """One hash and one message, whether there is such a robot, and whatever its secret is."""
    made = make_robot("made", project=None)
    robot = make_choosing_robot()
    messages = {
        refuse("Wrong-Secret-1"),
        refuse(CHOSEN, "robot-made"),
        refuse(CHOSEN, "robot-nobody"),
        refuse(CHOSEN, "robot-TEAM+ci"),
    }
    services.set_disabled(robot, True, actor=SYSTEM)
    messages.add(refuse(CHOSEN))
    services.set_disabled(robot, False, actor=SYSTEM)
    Robot.objects.filter(pk=robot.pk).update(expires_at=now())
    messages.add(refuse(CHOSEN))
    assert len(messages) == 1
    assert [stored_hash is None for stored_hash in looked_at] == [False, *[True] * 5]
    # What bears the mark of ours is none that somebody chose, so it costs no hash.
    for secret in ("rsd_rob_mistyped", new_secret("rob"), new_secret("pat")):
        refuse(secret)
    log_in(made.secret, "robot-made")
    assert len(looked_at) == 6


def test_guesses_are_throttled_and_secrets_made_here_are_not() -> None:
    made = make_robot("made", project=None)
    make_choosing_robot()
    for number in range(9):
        refuse(f"Wrong-Secret-{number}")
    log_in(CHOSEN)
    assert not LoginFailure.objects.exists()
    for number in range(10):
        refuse(f"Wrong-Secret-{number}")
        refuse(f"Wrong-Secret-{number}", "robot-made")
    # Also one that is remembered as right.
    for secret in (CHOSEN, "Wrong-Secret-x"):
        with pytest.raises(LoginThrottled):
            log_in(secret)
    log_in(made.secret, "robot-made")
    assert LoginFailure.objects.count() == 20
    log_in(CHOSEN, address="198.51.100.1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_right", [True, False])
def test_of_many_logins_of_one_moment_one_pays_and_no_burst_gets_more_guesses(
    looked_at: list[str | None], is_right: bool
) -> None:
    make_choosing_robot()

    def attempt(number: int) -> object:
        try:
            return log_in(CHOSEN if is_right else f"Wrong-Secret-{number}").subject
        except (InvalidCredentials, LoginThrottled) as error:
            return type(error)

    results = at_once(24, attempt)
    if is_right:
        assert len(set(results)) == len(looked_at) == 1
        assert not LoginFailure.objects.exists()
    else:
        assert set(results) <= {InvalidCredentials, LoginThrottled}
        assert results.count(InvalidCredentials) == len(looked_at) <= 10


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_lets_them_in_with_the_same_limits() -> None:
    make_choosing_robot()
    with read_only_database():
        assert log_in(CHOSEN).label == "robot-team+ci"
        for number in range(10):
            refuse(f"Wrong-Secret-{number}")
        with pytest.raises(LoginThrottled):
            log_in(CHOSEN)
    assert not LoginFailure.objects.exists()
