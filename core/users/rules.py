"""Names, passwords and profiles: pure decisions."""

import re
from typing import Final
from unicodedata import category

from core.rbac.errors import PermissionDenied
from core.rbac.types import Actor, ActorKind
from core.users.errors import (
    GroupNameInvalid,
    PasswordHashInvalid,
    PasswordInvalid,
    ProfileInvalid,
    UsernameInvalid,
)

ADMINISTRATOR_USERNAME: Final = "admin"
MAXIMUM_TEXT_LENGTH: Final = 255
MAXIMUM_GROUP_NAME_LENGTH: Final = 150
"""Width of the name column of Django's groups."""
MINIMUM_PASSWORD_LENGTH: Final = 8
MAXIMUM_PASSWORD_LENGTH: Final = 128

# The colon ends the user name in Basic credentials (RFC 7617, section 2); the others are
# Harbor's.
_FORBIDDEN_IN_USERNAME: Final = frozenset(':,"~#%$')
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
# Each step of the cost doubles the time; above 16 one login takes half a minute.
_BCRYPT: Final = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")


def ensure_valid_username(username: str, *, robot_name_prefix: str) -> None:
    """Refuse names that could not log in or could be taken for a robot's.

    Raises ``UsernameInvalid``.
    """
    if (
        not 1 <= len(username) <= MAXIMUM_TEXT_LENGTH
        or not all(map(_may_stand_in_username, username))
        or username.lower().startswith(robot_name_prefix.lower())
    ):
        raise UsernameInvalid(detail={"username": username[:MAXIMUM_TEXT_LENGTH]})


def ensure_valid_password(password: str) -> None:
    """Refuse weak passwords. Raises ``PasswordInvalid``, which never repeats the password."""
    if not is_strong(password):
        raise PasswordInvalid


def is_strong(secret: str) -> bool:
    """Tell whether a secret that somebody chose is as long and as mixed as it has to be.

    Control characters cannot be presented (RFC 7617, section 2), and clients strip line ends.
    """
    return (
        MINIMUM_PASSWORD_LENGTH <= len(secret) <= MAXIMUM_PASSWORD_LENGTH
        and any(map(str.isupper, secret))
        and any(map(str.islower, secret))
        and any(map(str.isdigit, secret))
        and not any(map(_is_control, secret))
        and is_storable(secret)
    )


def ensure_valid_profile(*, email: str, real_name: str, comment: str) -> None:
    """Refuse texts that are too long or an address that is none. Raises ``ProfileInvalid``."""
    for label, text in (("email", email), ("real name", real_name), ("comment", comment)):
        if len(text) > MAXIMUM_TEXT_LENGTH or not is_storable(text):
            raise ProfileInvalid(
                f"The {label} must have at most {MAXIMUM_TEXT_LENGTH} ordinary characters."
            )
    if email and not _EMAIL.fullmatch(email):
        raise ProfileInvalid("The email must look like name@example.org.")


def ensure_valid_group_name(name: str) -> None:
    """Refuse empty, long or unprintable names. Raises ``GroupNameInvalid``."""
    if not 1 <= len(name.strip()) <= len(name) <= MAXIMUM_GROUP_NAME_LENGTH or not (
        name.isprintable()
    ):
        raise GroupNameInvalid(detail={"name": name[:MAXIMUM_GROUP_NAME_LENGTH]})


def ensure_may_administer(actor: Actor, *, user_id: int, is_administrator: bool) -> None:
    """Let only administrators who logged in themselves touch another administrator's account.

    Raises ``PermissionDenied``.
    """
    is_allowed = _is_own(actor, user_id) or (actor.is_system_admin and actor.is_unlimited)
    if is_administrator and not is_allowed:
        raise PermissionDenied("Only system administrators may change this account.")


def ensure_unlimited(actor: Actor) -> None:
    """Keep a token, which may be leaked, from becoming an account. Raises ``PermissionDenied``."""
    if not actor.is_unlimited:
        raise PermissionDenied("A token cannot do this; log in with the password.")


def ensure_may_set_password(actor: Actor, *, user_id: int) -> None:
    """Leave passwords to their owners and to system administrators, who logged in themselves.

    Whoever knows the password of an account holds everything that it holds, now and later, which
    no robot does. Raises ``PermissionDenied``.
    """
    ensure_unlimited(actor)
    if not _is_own(actor, user_id) and not actor.is_system_admin:
        raise PermissionDenied("Only system administrators set the passwords of others.")


def ensure_bcrypt(password_hash: str) -> None:
    """Refuse anything but a complete bcrypt hash. Raises ``PasswordHashInvalid``."""
    if not _BCRYPT.fullmatch(password_hash):
        raise PasswordHashInvalid


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold the text: no NUL, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _is_own(actor: Actor, user_id: int) -> bool:
    return actor.kind is ActorKind.USER and actor.id == user_id


def _is_control(character: str) -> bool:
    return category(character) == "Cc"


def _may_stand_in_username(character: str) -> bool:
    return (
        character.isprintable()
        and not character.isspace()
        and character not in _FORBIDDEN_IN_USERNAME
    )
