"""Logins while the database can only be read: they go on, and guesses have the same limits."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from core.audit.types import AuditRecord
from core.authn import browser_sessions, rules, services, throttle, unstored_failures
from core.authn.errors import InvalidCredentials, LoginThrottled
from core.authn.models import BrowserSession, LoginFailure, PersonalToken, RefreshToken
from core.authn.password_memory import MEMORY
from core.authn.types import Credentials
from core.authn.unstored_failures import UNSTORED, UnstoredFailures
from core.common.clock import now
from core.common.secrets_format import new_secret
from core.rbac.types import Actor
from core.users import passwords
from core.users.models import User
from tests.core.authn.test_tokens import make_token
from tests.core.users.test_passwords import bcrypt_line
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user, session_of
from tests.support.crowds import at_once
from tests.support.read_only import read_only_database

pytestmark = pytest.mark.django_db(transaction=True)

Outcome = type[Exception] | None


def attempt(username: str, secret: str, address: str = "192.0.2.7") -> Outcome:
    """Present credentials once, and return what is raised."""
    try:
        services.authenticate(
            Credentials(username, secret), origin=replace(ORIGIN, address=address)
        )
    except (InvalidCredentials, LoginThrottled) as error:
        return type(error)
    return None


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the secrets that are compared, without the cost of it; one is right."""
    secrets: list[str] = []

    def is_correct(password: str, stored: str | None) -> bool:
        secrets.append(password)
        return stored is not None and password == PASSWORD

    monkeypatch.setattr(passwords, "is_correct", is_correct)
    return secrets


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False) as traveller:
        yield traveller


def by_token(user: User) -> Callable[[], object]:
    secret = make_token(user).secret
    return lambda: services.authenticate(Credentials("any", secret), origin=ORIGIN)


def by_refresh_token(user: User) -> Callable[[], object]:
    secret = services.issue_refresh_token(session_of(actor_of(user)), client="docker")
    return lambda: services.redeem_refresh_token(secret, origin=ORIGIN)


def by_session(user: User) -> Callable[[], object]:
    begun = browser_sessions.log_in(Credentials(user.username, PASSWORD), origin=ORIGIN)
    return lambda: browser_sessions.recall_session(begun.secret, origin=ORIGIN, renew=True)


@pytest.mark.parametrize("make", [by_token, by_refresh_token, by_session])
def test_the_last_use_is_a_note(
    make: Callable[[User], Callable[[], object]], clock: time_machine.Traveller
) -> None:
    log_in = make(make_user())

    def noted() -> set[object]:
        return {
            *PersonalToken.objects.values_list("last_used_at", flat=True),
            *RefreshToken.objects.values_list("last_used_at", flat=True),
            *BrowserSession.objects.values_list("last_seen_at", flat=True),
        }

    log_in()
    before = noted()
    clock.shift(120)
    with read_only_database():
        assert log_in() is not None
        assert noted() == before
    log_in()
    assert noted() == {now()}


def test_an_imported_password_is_verified_and_hashed_better_later() -> None:
    user = make_user(stored_hash=passwords.imported_hash(bcrypt_line(PASSWORD)))
    with read_only_database():
        assert attempt("alice", PASSWORD) is None
    assert not UNSTORED.are_there(now())
    MEMORY.clear()
    assert attempt("alice", PASSWORD) is None
    user.refresh_from_db()
    assert user.password.startswith("argon2$")


PLACES = {
    "one name and address": (10, lambda _number: ("alice", "192.0.2.7")),
    "one address": (50, lambda number: (f"user{number}", "192.0.2.7")),
    "one address range": (50, lambda number: (f"user{number}", f"2001:db8::{number}")),
    "one name": (100, lambda number: ("ALICE" if number % 2 else "alice", f"192.0.2.{number}")),
}


@pytest.mark.parametrize("place", PLACES)
def test_stored_and_remembered_failures_share_the_limits(
    place: str,
    looked_at: list[str],
    recorded: list[AuditRecord],
    clock: time_machine.Traveller,
) -> None:
    make_user()
    limit, who = PLACES[place]
    stored = 4

    def guess(number: int) -> Outcome:
        clock.shift(1)
        username, address = who(number)
        return attempt(username, f"guess {number}", address)

    begun_at = now()
    assert {guess(number) for number in range(stored)} == {InvalidCredentials}
    with read_only_database():
        assert {guess(number) for number in range(stored, limit)} == {InvalidCredentials}
        assert guess(limit) is LoginThrottled
        reasons = [(record.detail or {})["reason"] for record in recorded]
        assert len(reasons) == limit - stored + 1
        assert reasons[-1] == "throttled"
    # They count on when others can be stored again, until their window is over.
    assert guess(limit + 1) is LoginThrottled
    assert len(looked_at) == limit
    assert LoginFailure.objects.count() == stored
    clock.move_to(begun_at + rules.FAILURE_WINDOW + timedelta(seconds=limit + 2))
    assert guess(limit + 2) is InvalidCredentials
    assert not throttle.are_failures_remembered()


def test_fifty_parallel_guesses_get_at_most_ten_looks(looked_at: list[str]) -> None:
    make_user()
    with read_only_database():
        results = at_once(50, lambda number: attempt("alice", f"guess {number}"))
    assert set(results) <= {InvalidCredentials, LoginThrottled}
    assert results.count(InvalidCredentials) == len(looked_at) <= 10


def test_a_success_forgets_and_equal_attempts_are_one(
    looked_at: list[str], clock: time_machine.Traveller
) -> None:
    make_user()
    with read_only_database():
        assert [attempt("alice", "same") for _time in range(20)] == [InvalidCredentials] * 20
        for number in range(8):
            clock.shift(3)
            assert attempt("alice", f"guess {number}") is InvalidCredentials
        assert attempt("alice", PASSWORD) is None
        assert not UNSTORED.are_there(now())
        for number in range(10):
            assert attempt("alice", f"again {number}") is InvalidCredentials
        looks = len(looked_at)
        # This one is remembered as right.
        assert attempt("alice", PASSWORD) is LoginThrottled
    assert len(looked_at) == looks


def test_the_memory_is_bounded(looked_at: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_user()
    small = UnstoredFailures(maximum=60)
    for module in (throttle, unstored_failures):
        monkeypatch.setattr(module, "UNSTORED", small)
    token = make_token(make_user("bob")).secret

    def bear(secret: str, address: str) -> None:
        with pytest.raises(InvalidCredentials):
            services.authenticate_bearer(secret, origin=replace(ORIGIN, address=address))

    with read_only_database():
        for number in range(70):
            bear(f"flood {number}", "198.51.100.1")
        # One address alone fills nothing.
        assert len(small) == rules.FAILURES_PER_ADDRESS
        assert attempt("alice", "guess") is InvalidCredentials
        for number in range(20):
            bear(f"flood {number}", f"203.0.113.{number}")
        assert len(small) == 61
        assert attempt("alice", PASSWORD) is LoginThrottled
        assert len(small) == 61
        assert attempt("any", token) is None
        assert attempt("any", new_secret("pat")) is LoginThrottled
    assert looked_at == ["guess"]


def test_anything_but_read_only_ends_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_attempt: throttle.Attempt) -> bool:
        raise RuntimeError

    make_user()
    monkeypatch.setattr(throttle, "record_failure", fail)
    with read_only_database(), pytest.raises(RuntimeError):
        attempt("alice", PASSWORD)


def test_who_is_refused_is_anonymous(recorded: list[AuditRecord]) -> None:
    with read_only_database():
        assert attempt("nobody", "guess") is InvalidCredentials
    (record,) = recorded
    assert (record.actor.kind, record.target_label) == (Actor.anonymous(ORIGIN).kind, "nobody")
