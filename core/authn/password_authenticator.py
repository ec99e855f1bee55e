"""Turns a user name and a password into an actor."""

from functools import partial

from core.authn.errors import InvalidCredentials
from core.authn.guessable_secrets import Holder, verify
from core.authn.password_memory import MEMORY
from core.authn.rules import user_actor
from core.authn.types import Credentials
from core.common.origin import Origin
from core.database.read_only import unless_read_only
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
    verdict = verify(credentials, origin, lambda: _holder(credentials.username))
    facts = verdict.found
    if facts is None:
        return None
    if verdict.matching_hash is None:
        raise InvalidCredentials
    if not verdict.is_remembered and passwords.needs_rehash(facts.password_hash):
        replace = partial(replace_imported_hash, facts.user_id, password=credentials.secret)
        unless_read_only(partial(replace, imported=facts.password_hash))
    return user_actor(facts, origin)


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
    return user_actor(facts, origin)


def is_remembered(facts: LoginFacts, credentials: Credentials) -> bool:
    """Tell whether an active user's password was verified within the last minute; no I/O."""
    return facts.is_active and MEMORY.recalls(
        facts.subject, facts.password_hash, credentials.secret
    )


def _holder(username: str) -> Holder[LoginFacts | None]:
    facts = find_login(username)
    if facts is None or not facts.is_active:
        return Holder(facts)
    return Holder(facts, facts.subject, (facts.password_hash,))
