"""Turns a user name and a password into an actor."""

from core.authn import throttle
from core.authn.errors import InvalidCredentials
from core.authn.password_memory import MEMORY
from core.authn.types import Credentials
from core.common.origin import Origin
from core.rbac.types import Actor, ActorKind
from core.users import passwords
from core.users.queries import find_login, find_login_of
from core.users.services import replace_imported_hash
from core.users.types import LoginFacts


def authenticate(credentials: Credentials, origin: Origin) -> Actor | None:
    """Return the user whose password it is; None when no local user has that name.

    The user's row is read every time with one statement, so a changed password and a disabled
    account count at once although a verified password is remembered for a minute. Raises
    ``InvalidCredentials`` and ``LoginThrottled``.
    """
    facts = find_login(credentials.username)
    if facts is not None and facts.is_active and _is_remembered(facts, credentials):
        return _actor(facts, origin)
    attempt = throttle.Attempt.of(credentials, origin)
    throttle.reserve(attempt)
    stored_hash = facts.password_hash if facts is not None else None
    is_correct = passwords.is_correct(credentials.secret, stored_hash)
    if facts is None:
        return None
    if not (is_correct and facts.is_active):
        raise InvalidCredentials
    throttle.clear(attempt)
    if passwords.needs_rehash(facts.password_hash):
        replace_imported_hash(
            facts.user_id, imported=facts.password_hash, password=credentials.secret
        )
    MEMORY.remember(facts.user_id, facts.password_hash, credentials.secret)
    return _actor(facts, origin)


def load(subject: str, origin: Origin) -> Actor | None:
    """Return the user with that subject key; None for other subjects.

    Raises ``InvalidCredentials`` when the user is gone or disabled.
    """
    kind, _, user_id = subject.partition(":")
    if kind != ActorKind.USER:
        return None
    facts = find_login_of(int(user_id))
    if facts is None or not facts.is_active:
        raise InvalidCredentials
    return _actor(facts, origin)


def _is_remembered(facts: LoginFacts, credentials: Credentials) -> bool:
    return MEMORY.recalls(facts.user_id, facts.password_hash, credentials.secret)


def _actor(facts: LoginFacts, origin: Origin) -> Actor:
    return Actor(
        kind=ActorKind.USER,
        id=facts.user_id,
        label=facts.username,
        origin=origin,
        is_system_admin=facts.is_system_admin,
    )
