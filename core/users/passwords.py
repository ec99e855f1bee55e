"""Hashing and checking passwords: Argon2id, and bcrypt for hashes that were imported.

A check that ends with "no" costs one Argon2id hash, whether the user is unknown or typed a wrong
password, so the time does not tell who exists. An account with an imported bcrypt hash is the
exception until its first login: a wrong password costs the bcrypt check as well.
"""

import secrets
import string
from functools import cache
from threading import BoundedSemaphore
from typing import Final

import bcrypt
from django.contrib.auth.hashers import check_password, make_password

from core.users import rules
from core.users.errors import PasswordHashInvalid

ALGORITHM: Final = "argon2"
IMPORTED_PREFIX: Final = "bcrypt$"
GENERATED_LENGTH: Final = 24
_BCRYPT_BYTES: Final = 72
"""bcrypt reads no more than this of a password, and htpasswd cut it there as well."""

# Readable aloud and from a terminal: nothing that looks like something else.
_GENERATED_ALPHABET: Final = "".join(
    character for character in string.ascii_letters + string.digits if character not in "0O1lI"
)

# Each Argon2id hash takes 100 MiB while it runs: a burst of logins waits instead.
_AT_ONCE = BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Return the Argon2id hash to store."""
    with _AT_ONCE:
        return make_password(password, hasher=ALGORITHM)


def generate_password() -> str:
    """Return a random password that meets the rule."""
    while True:
        password = "".join(secrets.choice(_GENERATED_ALPHABET) for _ in range(GENERATED_LENGTH))
        if (
            any(map(str.isupper, password))
            and any(map(str.islower, password))
            and any(map(str.isdigit, password))
        ):
            return password


def is_correct(password: str, stored_hash: str | None) -> bool:
    """Compare a password with a stored hash; None stands for a user who does not exist."""
    with _AT_ONCE:
        decoy = _decoy()
        if stored_hash is not None and stored_hash.startswith(IMPORTED_PREFIX):
            if _matches_bcrypt(password, stored_hash):
                return True
        elif stored_hash is not None and stored_hash.startswith(ALGORITHM):
            return check_password(password, stored_hash)
        check_password(password, decoy)
        return False


def needs_rehash(stored_hash: str) -> bool:
    """Tell whether the hash was imported and should become Argon2id at the next login."""
    return stored_hash.startswith(IMPORTED_PREFIX)


def imported_hash(bcrypt_hash: str) -> str:
    """Return the form in which an imported hash is stored.

    Raises ``PasswordHashInvalid``, also for one of the right form whose salt cannot be read.
    """
    rules.ensure_bcrypt(bcrypt_hash)
    # The cost says nothing about whether salt and hash can be read, so the lowest will do.
    cheapest = f"{IMPORTED_PREFIX}$2b$04${bcrypt_hash[7:]}"
    try:
        _matches_bcrypt("", cheapest)
    except ValueError as error:
        raise PasswordHashInvalid("The bcrypt hash is damaged.") from error
    return IMPORTED_PREFIX + bcrypt_hash


def _matches_bcrypt(password: str, stored_hash: str) -> bool:
    secret = password.encode()[:_BCRYPT_BYTES]
    if b"\x00" in secret:
        return False
    # $2y$ is the mark of PHP and Apache for what everybody else writes as $2b$.
    salt_and_hash = stored_hash.removeprefix(IMPORTED_PREFIX).replace("$2y$", "$2b$", 1)
    return bcrypt.checkpw(secret, salt_and_hash.encode())


@cache
def _decoy() -> str:
    """Hash of a password nobody knows."""
    return make_password(secrets.token_urlsafe(32), hasher=ALGORITHM)
