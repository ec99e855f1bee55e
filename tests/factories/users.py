"""People who can log in, with explicit values."""

from functools import cache

from core.authn.types import Session
from core.common.clock import now
from core.common.origin import Origin
from core.rbac.types import Actor, ActorKind
from core.users.models import User
from core.users.passwords import hash_password
from core.users.revocations import find_generations

PASSWORD = "Correct-horse-1"
ORIGIN = Origin(address="192.0.2.7", user_agent="tests/1", request_id="r-1")


def make_user(
    username: str = "alice",
    *,
    password: str = PASSWORD,
    stored_hash: str | None = None,
    is_system_admin: bool = False,
    is_active: bool = True,
) -> User:
    """Store a user with that password, or with a hash that is given as it is stored."""
    at = now()
    return User.objects.create(
        username=username,
        password=stored_hash if stored_hash is not None else _hash_of(password),
        is_superuser=is_system_admin,
        is_active=is_active,
        password_changed_at=at,
        created_at=at,
        updated_at=at,
    )


def actor_of(user: User, *, origin: Origin = ORIGIN) -> Actor:
    """Return the actor of a user who logged in with the password."""
    return Actor(
        kind=ActorKind.USER,
        id=user.pk,
        label=user.username,
        origin=origin,
        is_system_admin=user.is_superuser,
    )


def session_of(actor: Actor) -> Session:
    """Return a session of the actor as of now."""
    return Session(actor, find_generations(actor.subject).present)


@cache
def _hash_of(password: str) -> str:
    """Hash each password once: a slow hash for every user would make the tests slow."""
    return hash_password(password)
