"""What is issued in a session can never outlive a revocation."""

from collections.abc import Callable

import pytest

from core.audit.types import AuditRecord, Outcome
from core.authn import registry_tokens, services
from core.authn.errors import InvalidCredentials
from core.authn.types import Access, Credentials, ProjectStamp, Session
from core.rbac.types import Actor
from core.users.revocations import (
    find_generations,
    revoke_registry_tokens_locked,
    revoke_subject_locked,
)
from core.users.services import set_active, set_password
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user, session_of

SYSTEM = Actor.system()
ACCESS = [Access("repository", "team/app", frozenset({"pull"}))]
PROJECTS = {"team": ProjectStamp(17, 0)}


def by_password() -> Actor:
    return services.verify_credentials(Credentials("alice", PASSWORD), origin=ORIGIN)


def nothing(_subject: str) -> None:
    """Read nothing."""


@pytest.mark.django_db
def test_a_session_carries_the_actor_and_its_generation(signing_key: None) -> None:
    user = make_user()
    set_active(user, False, actor=SYSTEM)
    set_active(user, True, actor=SYSTEM)
    session, found = services.open_session(by_password, read=lambda subject: [subject])
    assert (session, found) == (Session(actor_of(user), generation=1), [f"user:{user.pk}"])
    issued = registry_tokens.issue(session, ACCESS, projects=PROJECTS, service="s")
    secret = services.issue_refresh_token(session, client="docker")
    assert registry_tokens.verify(issued.token, service="s").generation == 1
    assert services.redeem_refresh_token(secret, origin=ORIGIN) == actor_of(user)


@pytest.mark.django_db
def test_every_session_is_recorded_as_a_login(recorded: list[AuditRecord]) -> None:
    user = make_user()
    refresh_token = services.issue_refresh_token(session_of(actor_of(user)), client="docker")

    def by_refresh_token() -> Actor:
        return services.redeem_refresh_token(refresh_token, origin=ORIGIN)

    for verify in (by_password, by_password, by_refresh_token):
        services.open_session(verify, read=nothing)
    assert [(record.action, record.target_label, record.outcome) for record in recorded] == [
        ("user.login", "alice", Outcome.SUCCESS)
    ] * 3


@pytest.mark.django_db
def test_another_subject_at_the_second_look_is_refused() -> None:
    actors = iter([actor_of(make_user()), actor_of(make_user("berta"))])
    with pytest.raises(InvalidCredentials):
        services.open_session(lambda: next(actors), read=nothing)


@pytest.mark.django_db
def test_a_password_changed_between_the_two_looks_opens_nothing() -> None:
    user = make_user()

    def change(_subject: str) -> None:
        set_password(user, "Another-horse-2", actor=SYSTEM)

    with pytest.raises(InvalidCredentials):
        services.open_session(by_password, read=change)


@pytest.mark.django_db
@pytest.mark.parametrize("withdraw", [revoke_subject_locked, revoke_registry_tokens_locked])
def test_what_is_issued_from_before_a_revocation_carries_a_number_of_the_past(
    withdraw: Callable[[str], None], signing_key: None
) -> None:
    user = make_user()
    session, subject = services.open_session(by_password, read=lambda subject: subject)
    withdraw(subject)
    issued = registry_tokens.issue(session, ACCESS, projects=PROJECTS, service="s")
    token = registry_tokens.verify(issued.token, service="s")
    assert token.generation < find_generations(token.subject).present
    secret = services.issue_refresh_token(session, client="docker")
    if withdraw is revoke_registry_tokens_locked:
        assert services.redeem_refresh_token(secret, origin=ORIGIN) == actor_of(user)
    else:
        with pytest.raises(InvalidCredentials):
            services.redeem_refresh_token(secret, origin=ORIGIN)


@pytest.mark.django_db
def test_the_holder_of_a_registry_token_is_loaded_with_present_rights(signing_key: None) -> None:
    user = make_user()
    limited = services.create_personal_token(
        user, name="ci", scopes=["repository:pull"], actor=actor_of(user)
    )
    by_token = services.authenticate(Credentials("", limited.secret), origin=ORIGIN)
    for actor in (actor_of(user), by_token, Actor.anonymous(ORIGIN)):
        issued = registry_tokens.issue(session_of(actor), ACCESS, projects=PROJECTS, service="s")
        token = registry_tokens.verify(issued.token, service="s")
        assert services.load_actor(token, origin=ORIGIN) == actor
    session = session_of(by_token)
    issued = registry_tokens.issue(session, ACCESS, projects=PROJECTS, service="s")
    token = registry_tokens.verify(issued.token, service="s")
    limited.token.delete()
    with pytest.raises(InvalidCredentials):
        services.load_actor(token, origin=ORIGIN)
