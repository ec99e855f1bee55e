"""Personal access tokens and refresh tokens."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.authn import queries, services
from core.authn.errors import (
    InvalidCredentials,
    PersonalTokenInvalid,
    PersonalTokenNameTaken,
    PersonalTokenUnknown,
    TokenTooWide,
)
from core.authn.models import PersonalToken, RefreshToken
from core.authn.services import NewPersonalToken
from core.authn.types import Credentials
from core.common.clock import now
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed, new_secret
from core.rbac.errors import PermissionDenied
from core.rbac.types import Actor
from core.users.models import Revocation, User
from core.users.services import delete_user, set_active, set_password
from tests.factories.projects import make_project
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user, session_of

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
PULL = ["repository:pull"]


def make_token(user: User, **changes: object) -> NewPersonalToken:
    values: dict[str, object] = {"name": "laptop", "scopes": PULL, "actor": actor_of(user)}
    return services.create_personal_token(user, **(values | changes))  # type: ignore[arg-type]


def present(secret: str, username: str = "alice") -> Actor:
    return services.authenticate(Credentials(username, secret), origin=ORIGIN)


def test_a_token_is_shown_once_and_stored_hashed() -> None:
    user = make_user()
    make_project("team", is_public=True)
    created = make_token(user, project_names=["team"], description="ci")
    assert is_well_formed(created.secret, "pat")
    assert created.secret not in repr(created)
    stored = PersonalToken.objects.get()
    assert created.secret[-4:] == stored.hint
    assert len(bytes(stored.secret_hash)) == 32
    everything = str(stored.__dict__) + str(AuditEntry.objects.latest("pk").__dict__)
    assert created.secret not in everything
    assert AuditEntry.objects.latest("pk").action == "authn.personal_token.created"


@pytest.mark.parametrize("username", ["alice", "ALICE", "", "anything", "<token>"])
def test_a_token_works_with_any_user_name(username: str) -> None:
    user = make_user()
    expires_at = now() + timedelta(days=1)
    make_project("team", is_public=True)
    created = make_token(user, project_names=["team"], expires_at=expires_at)
    actor = present(created.secret, username)
    assert (actor.subject, actor.label) == (f"user:{user.pk}", "alice")
    assert actor.token_id == created.token.pk
    assert actor.scopes == frozenset(PULL)
    assert actor.scope_projects == frozenset({"team"})
    assert actor.expires_at == expires_at


def test_a_token_without_projects_is_not_limited_to_none() -> None:
    assert present(make_token(make_user()).secret).scope_projects is None


def test_a_token_works_as_bearer_and_a_password_does_not() -> None:
    user = make_user()
    secret = make_token(user).secret
    assert services.authenticate_bearer(secret, origin=ORIGIN).subject == f"user:{user.pk}"
    for wrong in (PASSWORD, "", new_secret("pat"), secret[:-1] + "!"):
        with pytest.raises(InvalidCredentials):
            services.authenticate_bearer(wrong, origin=ORIGIN)
    assert AuditEntry.objects.filter(action="user.login", outcome=Outcome.DENIED).count() == 4


def test_revoked_expired_and_orphaned_tokens_are_refused() -> None:
    user = make_user()
    created = make_token(user, expires_at=now() + timedelta(hours=1))
    with (
        time_machine.travel(now() + timedelta(hours=1, seconds=1)),
        pytest.raises(InvalidCredentials),
    ):
        present(created.secret)
    set_active(user, False, actor=SYSTEM)
    with pytest.raises(InvalidCredentials):
        present(created.secret)
    set_active(user, True, actor=SYSTEM)
    present(created.secret)
    before = Revocation.objects.get(subject=f"user:{user.pk}")
    services.revoke_personal_token(created.token, actor=actor_of(user))
    with pytest.raises(InvalidCredentials):
        present(created.secret)
    after = Revocation.objects.get(subject=f"user:{user.pk}")
    assert after.generation == before.generation + 1
    assert after.credentials_generation == before.credentials_generation
    count = AuditEntry.objects.count()
    services.revoke_personal_token(created.token, actor=actor_of(user))
    assert AuditEntry.objects.count() == count


def test_last_use_is_written_once_a_minute(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    created = make_token(make_user())
    with time_machine.travel("2026-01-02T03:04:05Z", tick=False) as clock:
        present(created.secret)
        first = PersonalToken.objects.get()
        assert first.last_used_at == now()
        assert first.last_used_address == ORIGIN.address
        clock.shift(30)
        with django_assert_num_queries(1):
            present(created.secret)
        assert PersonalToken.objects.get().last_used_at == first.last_used_at
        clock.shift(31)
        services.authenticate(
            Credentials("", created.secret), origin=Origin("fe80::1%eth0", "", "")
        )
    stored = PersonalToken.objects.get()
    assert stored.last_used_at == first.last_used_at + timedelta(seconds=61)
    assert stored.last_used_address == "fe80::1"


def test_names_are_free_again_after_revocation() -> None:
    user = make_user()
    first = make_token(user)
    with pytest.raises(PersonalTokenNameTaken):
        make_token(user)
    services.revoke_personal_token(first.token, actor=actor_of(user))
    second = make_token(user)
    assert list(queries.list_personal_tokens(user)) == [second.token]
    make_token(make_user("berta"))


def test_tokens_belong_to_one_user() -> None:
    alice, berta = make_user(), make_user("berta", is_system_admin=True)
    with pytest.raises(PermissionDenied):
        make_token(alice, actor=actor_of(berta))
    created = make_token(alice)
    assert queries.get_personal_token(alice, created.token.pk) == created.token
    with pytest.raises(PersonalTokenUnknown):
        queries.get_personal_token(berta, created.token.pk)
    services.revoke_personal_token(created.token, actor=actor_of(berta))
    with pytest.raises(PersonalTokenUnknown):
        services.revoke_personal_token(PersonalToken(pk=created.token.pk + 1), actor=SYSTEM)


def test_a_limited_token_cannot_widen_itself() -> None:
    user = make_user()
    limited = present(make_token(user, scopes=["management:write"]).secret)
    with pytest.raises(TokenTooWide):
        make_token(user, name="wider", actor=limited)
    make_token(user, name="same", scopes=["management:write"], actor=limited)
    with pytest.raises(PersonalTokenInvalid):
        make_token(user, name="none", scopes=["everything"])


def test_a_refresh_token_stands_for_its_user_with_present_rights() -> None:
    user = make_user()
    secret = services.issue_refresh_token(session_of(actor_of(user)), client="docker")
    assert is_well_formed(secret, "ref")
    assert services.redeem_refresh_token(secret, origin=ORIGIN) == actor_of(user)
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert services.redeem_refresh_token(secret, origin=ORIGIN).is_system_admin
    assert secret not in str(RefreshToken.objects.get().__dict__)


def test_a_refresh_token_lives_on_while_it_is_used() -> None:
    user = make_user()
    with time_machine.travel("2026-01-02T03:04:05Z", tick=False) as clock:
        secret = services.issue_refresh_token(session_of(actor_of(user)), client="docker")
        for _ in range(3):
            clock.shift(timedelta(days=80))
            services.redeem_refresh_token(secret, origin=ORIGIN)
        clock.shift(timedelta(days=91))
        with pytest.raises(InvalidCredentials):
            services.redeem_refresh_token(secret, origin=ORIGIN)
        assert services.delete_expired(now())["refresh_tokens"] == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda user: set_password(user, "Another-horse-2", actor=SYSTEM),
        lambda user: set_active(user, False, actor=SYSTEM),
        lambda user: delete_user(user, actor=SYSTEM),
        lambda user: services.revoke_refresh_tokens(f"user:{user.pk}", actor=SYSTEM),
    ],
    ids=["new password", "disabled", "deleted", "revoked"],
)
def test_what_ends_a_refresh_token(
    end: Callable[[User], object], recorded: list[AuditRecord]
) -> None:
    user = make_user()
    secret = services.issue_refresh_token(session_of(actor_of(user)), client="docker")
    assert services.delete_expired(now())["refresh_tokens"] == 0
    end(user)
    with pytest.raises(InvalidCredentials):
        services.redeem_refresh_token(secret, origin=ORIGIN)
    assert recorded[-1].outcome is Outcome.DENIED
    assert services.delete_expired(now())["refresh_tokens"] == 1


def test_a_refresh_token_never_outlives_what_it_was_issued_for() -> None:
    user = make_user()
    with time_machine.travel("2026-01-02T03:04:05Z", tick=False) as clock:
        end = now() + timedelta(days=7)
        session = session_of(replace(actor_of(user), expires_at=end))
        secret = services.issue_refresh_token(session, client="docker")
        clock.shift(timedelta(days=6))
        assert services.redeem_refresh_token(secret, origin=ORIGIN).expires_at == end
        assert RefreshToken.objects.get().expires_at == end
        clock.shift(timedelta(days=1))
        with pytest.raises(InvalidCredentials):
            services.redeem_refresh_token(secret, origin=ORIGIN)


def test_a_refresh_token_after_a_password_change_works() -> None:
    user = make_user()
    set_password(user, "Another-horse-2", actor=SYSTEM)
    secret = services.issue_refresh_token(session_of(actor_of(user)), client="docker")
    services.redeem_refresh_token(secret, origin=ORIGIN)


def test_a_refresh_token_keeps_the_limits_of_its_personal_token() -> None:
    user = make_user()
    created = make_token(user, expires_at=now() + timedelta(days=2))
    secret = services.issue_refresh_token(session_of(present(created.secret)), client="docker")
    assert RefreshToken.objects.get().expires_at == created.token.expires_at
    actor = services.redeem_refresh_token(secret, origin=ORIGIN)
    assert actor.scopes == frozenset(PULL)
    assert actor.token_id == created.token.pk
    services.revoke_personal_token(created.token, actor=actor_of(user))
    with pytest.raises(InvalidCredentials):
        services.redeem_refresh_token(secret, origin=ORIGIN)


@pytest.mark.parametrize(
    "secret",
    ["", "x", "rsd_ref_", new_secret("ref"), new_secret("pat")],
    ids=["empty", "short", "bare", "unknown", "of another kind"],
)
def test_made_up_refresh_tokens_are_refused(secret: str) -> None:
    with pytest.raises(InvalidCredentials):
        services.redeem_refresh_token(secret, origin=ORIGIN)


def test_only_subjects_get_refresh_tokens() -> None:
    for actor in (Actor.anonymous(ORIGIN), SYSTEM):
        with pytest.raises(InvalidCredentials):
            services.issue_refresh_token(session_of(actor), client="docker")


def test_ended_personal_tokens_stay_listed_for_a_while() -> None:
    user = make_user()
    services.revoke_personal_token(make_token(user).token, actor=SYSTEM)
    make_token(user)
    assert services.delete_expired(now())["personal_tokens"] == 0
    assert services.delete_expired(now() + timedelta(days=91))["personal_tokens"] == 1
    assert PersonalToken.objects.count() == 1
