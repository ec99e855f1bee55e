"""What is issued in a session can never outlive a revocation."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from core.audit.types import AuditRecord, Outcome
from core.authn import registry_tokens, services
from core.authn.errors import InvalidCredentials
from core.authn.types import Access, Credentials
from core.rbac.types import Actor
from core.users.models import Revocation
from core.users.services import set_password
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user
from tests.support.locks import wait_for_lock

SYSTEM = Actor.system()
ACCESS = [Access("repository", "team/app", frozenset({"pull"}))]


def by_password() -> Actor:
    return services.verify_credentials(Credentials("alice", PASSWORD), origin=ORIGIN)


@pytest.mark.django_db
def test_a_session_carries_the_actor_and_the_instant(signing_key: None) -> None:
    user = make_user()
    with services.stable_session(by_password) as session:
        issued = registry_tokens.issue(
            session.actor, ACCESS, service="s", issued_at=session.issued_at
        )
        secret = services.issue_refresh_token(
            session.actor, client="docker", issued_at=session.issued_at
        )
    assert registry_tokens.verify(issued.token, service="s").issued_at == session.issued_at
    assert services.redeem_refresh_token(secret, origin=ORIGIN) == actor_of(user)


@pytest.mark.django_db
def test_every_session_is_recorded_as_a_login(recorded: list[AuditRecord]) -> None:
    user = make_user()
    refresh_token = services.issue_refresh_token(actor_of(user), client="docker")

    def by_refresh_token() -> Actor:
        return services.redeem_refresh_token(refresh_token, origin=ORIGIN)

    for verify in (by_password, by_password, by_refresh_token):
        with services.stable_session(verify):
            pass
    assert [(record.action, record.target_label, record.outcome) for record in recorded] == [
        ("user.login", "alice", Outcome.SUCCESS)
    ] * 3


@pytest.mark.django_db(transaction=True)
def test_a_token_is_revoked_while_something_is_issued_for_it() -> None:
    user = make_user()
    token = services.create_personal_token(
        user, name="ci", scopes=["repository:pull"], actor=actor_of(user)
    )

    def by_token() -> Actor:
        return services.verify_credentials(Credentials("", token.secret), origin=ORIGIN)

    def revoke() -> None:
        try:
            services.revoke_personal_token(token.token, actor=SYSTEM)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with services.stable_session(by_token) as session:
            revoked = pool.submit(revoke)
            wait_for_lock()
            services.issue_refresh_token(session.actor, client="docker")
        revoked.result(10)
    with pytest.raises(InvalidCredentials):
        by_token()


@pytest.mark.django_db
def test_another_subject_at_the_second_look_is_refused() -> None:
    actors = iter([actor_of(make_user()), actor_of(make_user("berta"))])
    with pytest.raises(InvalidCredentials), services.stable_session(lambda: next(actors)):
        pytest.fail("a session for two subjects")


@pytest.mark.django_db(transaction=True)
def test_a_password_changed_between_check_and_issue_gets_nothing() -> None:
    user = make_user()
    proofs: list[Actor] = []

    def verify() -> Actor:
        proofs.append(by_password())
        if len(proofs) == 1:
            set_password(user, "Another-horse-2", actor=SYSTEM)
        return proofs[-1]

    with pytest.raises(InvalidCredentials), services.stable_session(verify):
        pytest.fail("a session for a password that was changed")


@pytest.mark.django_db(transaction=True)
def test_a_revocation_is_later_than_every_token_before_it(signing_key: None) -> None:
    user = make_user()
    services.ensure_signing_key()
    with services.stable_session(by_password) as session:
        issued = registry_tokens.issue(
            session.actor, ACCESS, service="s", issued_at=session.issued_at
        )
    set_password(user, "Another-horse-2", actor=SYSTEM)
    token = registry_tokens.verify(issued.token, service="s")
    assert Revocation.objects.get(subject=token.subject).revoked_at > token.issued_at


@pytest.mark.django_db
def test_the_holder_of_a_registry_token_is_loaded_with_present_rights(signing_key: None) -> None:
    user = make_user()
    limited = services.create_personal_token(
        user, name="ci", scopes=["repository:pull"], actor=actor_of(user)
    )
    by_token = services.authenticate(Credentials("", limited.secret), origin=ORIGIN)
    for actor in (actor_of(user), by_token, Actor.anonymous(ORIGIN)):
        issued = registry_tokens.issue(actor, ACCESS, service="s")
        token = registry_tokens.verify(issued.token, service="s")
        assert services.load_actor(token, origin=ORIGIN) == actor
    token = registry_tokens.verify(
        registry_tokens.issue(by_token, ACCESS, service="s").token, service="s"
    )
    limited.token.delete()
    with pytest.raises(InvalidCredentials):
        services.load_actor(token, origin=ORIGIN)
