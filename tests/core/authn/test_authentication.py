"""Passwords and personal tokens through the one function that surfaces call."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from pytest_django import DjangoAssertNumQueries
from typer.testing import CliRunner

from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.authn import password_memory, services
from core.authn.authenticators import load_subject
from core.authn.commands import user_app
from core.authn.errors import InvalidCredentials, LoginThrottled
from core.authn.login_records import record_login
from core.authn.models import LoginFailure
from core.authn.recent_keys import RecentKeys
from core.authn.types import Credentials
from core.common.clock import now
from core.common.origin import Origin
from core.common.secrets_format import new_secret
from core.database.raw import fetch_all
from core.rbac.types import Actor
from core.users import passwords
from core.users.services import set_active, set_password
from tests.core.authn.test_tokens import make_token
from tests.core.users.test_passwords import bcrypt_line
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def log_in(username: str = "alice", secret: str = PASSWORD, origin: Origin = ORIGIN) -> Actor:
    return services.authenticate(Credentials(username, secret), origin=origin)


def refuse(username: str = "alice", secret: str = PASSWORD, origin: Origin = ORIGIN) -> None:
    with pytest.raises(InvalidCredentials):
        log_in(username, secret, origin)


def test_a_password_proves_a_user() -> None:
    user = make_user("Alice", is_system_admin=True)
    actor = log_in("aLICE")
    assert actor == actor_of(user)
    assert actor.scopes is None


def test_secrets_stay_out_of_representations() -> None:
    assert PASSWORD not in repr(Credentials("alice", PASSWORD))


def test_a_remembered_password_costs_two_statements_and_no_hash(
    django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user()
    log_in()
    monkeypatch.setattr(passwords, "is_correct", lambda *_: pytest.fail("hashed again"))
    with django_assert_num_queries(2):
        log_in()


def test_a_remembered_password_is_forgotten_after_a_minute() -> None:
    memory = password_memory.PasswordMemory(seconds=0.0)
    memory.remember("user:1", "hash", PASSWORD)
    assert not memory.recalls("user:1", "hash", PASSWORD)
    memory = password_memory.PasswordMemory()
    memory.remember("user:1", "hash", PASSWORD)
    assert memory.recalls("user:1", "hash", PASSWORD)
    assert not memory.recalls("user:1", "other hash", PASSWORD)
    assert not memory.recalls("user:2", "hash", PASSWORD)
    assert not memory.recalls("user:1", "hash", "other")


@pytest.mark.django_db(transaction=True)
def test_many_logins_of_one_moment_cost_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("alice")
    hashed: list[str] = []
    is_correct = passwords.is_correct

    def counted(secret: str, stored_hash: str | None) -> bool:
        hashed.append(secret)
        return is_correct(secret, stored_hash)

    monkeypatch.setattr(passwords, "is_correct", counted)
    actors = at_once(24, lambda _: log_in())
    assert all(isinstance(actor, Actor) for actor in actors)
    assert hashed == [PASSWORD]
    assert not LoginFailure.objects.exists()


def test_the_memory_is_bounded() -> None:
    keys = RecentKeys(seconds=60, maximum=3)
    for number in range(5):
        assert keys.add(bytes([number]))
    assert [bytes([number]) in keys for number in range(5)] == [False, False, True, True, True]
    assert not keys.add(bytes([4]))


def test_a_changed_password_ends_the_remembered_one_at_once() -> None:
    user = make_user()
    log_in()
    set_password(user, "Another-horse-2", actor=SYSTEM)
    refuse()
    log_in(secret="Another-horse-2")


def test_a_disabled_user_is_out_at_once_and_back_when_enabled() -> None:
    user = make_user()
    log_in()
    set_active(user, False, actor=SYSTEM)
    refuse()
    with pytest.raises(InvalidCredentials):
        load_subject(f"user:{user.pk}", ORIGIN)
    set_active(user, True, actor=SYSTEM)
    log_in()
    assert load_subject(f"user:{user.pk}", ORIGIN) == actor_of(user)


def test_an_imported_password_becomes_argon2_at_the_first_login() -> None:
    user = make_user(stored_hash=passwords.imported_hash(bcrypt_line("old secret")))
    refuse(secret="wrong secret")
    log_in(secret="old secret")
    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$")
    log_in(secret="old secret")


def test_unknown_users_cost_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def is_correct(_password: str, stored_hash: str | None) -> bool:
        asked.append(stored_hash)
        return False

    monkeypatch.setattr(passwords, "is_correct", is_correct)
    make_user()
    refuse("nobody")
    refuse("alice", "wrong")
    assert asked[0] is None
    assert asked[1] is not None


def test_a_failure_is_counted_and_audited() -> None:
    make_user()
    refuse("Alice", "wrong secret")
    entry = AuditEntry.objects.get(action="user.login")
    assert (entry.outcome, entry.target_label) == (Outcome.DENIED, "Alice")
    assert (entry.address, entry.user_agent) == (ORIGIN.address, ORIGIN.user_agent)
    assert "wrong secret" not in str(entry.__dict__)
    assert LoginFailure.objects.count() == 1


def test_requests_with_credentials_are_one_login_a_minute(recorded: list[AuditRecord]) -> None:
    make_user()
    log_in()
    log_in()
    assert [(record.action, record.actor.label) for record in recorded] == [("user.login", "alice")]
    log_in(origin=Origin("198.51.100.1", "other", "r-2"))
    assert len(recorded) == 2


@pytest.mark.parametrize(
    ("username", "secret"),
    [
        ("", ""),
        ("alice", ""),
        ("al\x00ice", PASSWORD),
        ("alice", PASSWORD + "\x00"),
        ("\ud800", "\udfff"),
        ("x" * 5000, PASSWORD),
        ("alice", "x" * 100_000),
        ("alice", "rsd_pat_"),
        ("alice", "rsd_pat_" + "0" * 36),
        ("user@example.org' OR 1=1 --", PASSWORD),
    ],
)
def test_hostile_credentials_are_refused_and_audited(username: str, secret: str) -> None:
    make_user()
    refuse(username, secret)
    assert AuditEntry.objects.filter(action="user.login", outcome=Outcome.DENIED).count() == 1


def test_the_double_attempt_of_containerd_is_one_failure() -> None:
    make_user()
    with time_machine.travel("2026-01-02T03:04:05.900Z", tick=False) as clock:
        refuse(secret="wrong")
        clock.shift(1.5)
        refuse(secret="wrong")
        assert LoginFailure.objects.count() == 1
        refuse(secret="another")
        assert LoginFailure.objects.count() == 2
        clock.shift(2.5)
        refuse(secret="wrong")
        assert LoginFailure.objects.count() == 3


def test_the_eleventh_attempt_on_a_name_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, recorded: list[AuditRecord]
) -> None:
    make_user()
    with time_machine.travel("2026-01-02T03:04:05Z", tick=False) as clock:
        for number in range(10):
            refuse(secret=f"wrong {number}")
            clock.shift(1)
        with monkeypatch.context() as patch:
            patch.setattr(passwords, "is_correct", lambda *_: pytest.fail("looked at"))
            with pytest.raises(LoginThrottled) as caught:
                log_in()
        assert caught.value.retry_after_seconds == 290
        assert [record.outcome for record in recorded] == [Outcome.DENIED]
        assert log_in(origin=Origin("198.51.100.1", "", "")).label == "alice"
        clock.shift(291)
        assert log_in().label == "alice"
    assert LoginFailure.objects.count() == 0


def test_an_address_and_a_name_have_limits_of_their_own() -> None:
    def store(count: int, username: str, address: str) -> None:
        LoginFailure.objects.bulk_create(
            LoginFailure(
                username=username.format(number),
                address=address.format(number),
                attempt=f"{username}{address}{number}".encode(),
                failed_at=now(),
            )
            for number in range(count)
        )

    make_user()
    store(49, "user{}", str(ORIGIN.address))
    log_in()
    store(1, "last{}", str(ORIGIN.address))
    with pytest.raises(LoginThrottled):
        log_in()
    elsewhere = Origin("198.51.100.1", "", "")
    store(99, "alice", "203.0.113.{}")
    log_in(origin=elsewhere)
    store(1, "alice", "203.0.112.{}")
    with pytest.raises(LoginThrottled):
        log_in(origin=elsewhere)


def test_unlocking_a_name_forgets_its_failures_from_everywhere() -> None:
    make_user()
    make_user("berta")
    for number in range(10):
        refuse(secret=f"wrong {number}")
    refuse(secret="wrong", origin=Origin("198.51.100.1", "", ""))
    refuse("berta", "wrong")
    with pytest.raises(LoginThrottled):
        log_in()
    result = CliRunner().invoke(user_app, ["unlock", "ALICE"])
    assert result.output == "Forgot 11 failed logins of ALICE.\n"
    assert log_in().label == "alice"
    assert [failure.username for failure in LoginFailure.objects.all()] == ["berta"]
    entry = AuditEntry.objects.get(action="authn.logins.unlocked")
    assert (entry.target_label, entry.detail) == ("ALICE", {"failures": 11})


def test_success_clears_only_the_pair() -> None:
    make_user()
    make_user("berta")
    refuse(secret="wrong")
    refuse("berta", "wrong")
    log_in()
    assert [failure.username for failure in LoginFailure.objects.all()] == ["berta"]


def test_ones_own_token_buys_no_further_guesses_at_somebody_else() -> None:
    make_user()
    secret = make_token(make_user("mallory")).secret
    for number in range(10):
        refuse(secret=f"wrong {number}")
        assert log_in("alice", secret).label == "mallory"
    with pytest.raises(LoginThrottled):
        log_in(secret="wrong again")


def test_secrets_that_nobody_can_guess_are_never_locked_out(recorded: list[AuditRecord]) -> None:
    secret = make_token(make_user()).secret
    for number in range(10):
        refuse("", f"rsd_pat_{number}")
    with pytest.raises(LoginThrottled):
        log_in("", "rsd_pat_10")
    assert services.authenticate_bearer(secret, origin=ORIGIN).label == "alice"
    assert log_in("", secret).label == "alice"
    recorded.clear()
    count = AuditEntry.objects.count()
    with pytest.raises(LoginThrottled):
        log_in("", new_secret("pat"))
    assert AuditEntry.objects.count() == count
    assert [record.outcome for record in recorded] == [Outcome.DENIED]


def test_made_up_secrets_of_the_right_form_are_counted() -> None:
    for _ in range(10):
        refuse("", new_secret("pat"))
    assert LoginFailure.objects.count() == 10
    with pytest.raises(LoginThrottled):
        log_in("", new_secret("rob"))


@pytest.mark.parametrize("other", ["KARL", "\u212aarl", "k\u0391rl", "\u0130karl", "k\u03a3"])
def test_names_count_together_when_the_database_takes_them_for_one(other: str) -> None:
    refuse("karl", "wrong")
    refuse(other, "other")
    same, known = fetch_all(
        "SELECT lower(%s) = 'karl', count(DISTINCT username) FROM authn_loginfailure", (other,)
    )[0]
    assert known == (1 if same else 2)
    name = fetch_all("SELECT lower(%s)", (other,))[0][0]
    assert LoginFailure.objects.filter(username=name).exists()


def test_addresses_of_one_ipv6_network_count_together() -> None:
    make_user()
    for number in range(10):
        refuse(secret=f"wrong {number}", origin=Origin(f"2001:db8::{number}", "", ""))
    with pytest.raises(LoginThrottled):
        log_in(origin=Origin("2001:db8::ffff", "", ""))
    log_in(origin=Origin("2001:db8:0:1::1", "", ""))


def test_an_authenticator_without_both_functions_stops_the_start(settings: object) -> None:
    settings.AUTHENTICATORS = ("core.authn.rules",)  # type: ignore[attr-defined]
    with pytest.raises(ImproperlyConfigured, match="no function authenticate"):
        log_in()


def test_nobody_knows_a_subject_of_another_kind() -> None:
    with pytest.raises(InvalidCredentials):
        load_subject("robot:1", ORIGIN)
    with pytest.raises(InvalidCredentials):
        load_subject("user:999999", ORIGIN)


def test_old_failures_are_removed() -> None:
    make_user()
    refuse(secret="wrong")
    assert services.delete_expired(now())["login_failures"] == 0
    assert services.delete_expired(now() + timedelta(minutes=5))["login_failures"] == 1


def test_equal_logins_of_one_moment_are_one_entry_that_says_how_many() -> None:
    here, there = Origin("192.0.2.1", "podman", "1"), Origin("192.0.2.2", "podman", "2")
    for number in range(3):
        record_login(Actor.anonymous(replace(here, request_id=str(number))))
    record_login(Actor.anonymous(there))
    BUFFER.flush()
    record_login(Actor.anonymous(here))
    BUFFER.flush()
    entries = AuditEntry.objects.filter(action="user.login").order_by("id")
    assert list(entries.values_list("address", "request_id", "detail")) == [
        ("192.0.2.1", "0", {"times": 3}),
        ("192.0.2.2", "2", None),
        ("192.0.2.1", "1", None),
    ]
