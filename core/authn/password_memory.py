"""Passwords, and secrets of robots that somebody chose, that this process has just verified.

A slow hash for every token request would cost tens of milliseconds of a processor each. For
a minute a keyed digest of subject, stored hash and password is kept, so a changed password is not
found under its new hash, and nothing in the table gives a password away.
"""

import os
from hashlib import blake2b
from threading import Lock
from typing import Final

from core.authn.recent_keys import RecentKeys

REMEMBERED_SECONDS: Final = 60.0
MAXIMUM_REMEMBERED: Final = 4096
_TURNS: Final = 64


class PasswordMemory:
    """Verified passwords of one process."""

    def __init__(self, *, seconds: float = REMEMBERED_SECONDS) -> None:
        self._key = os.urandom(32)
        self._verified = RecentKeys(seconds=seconds, maximum=MAXIMUM_REMEMBERED)
        self._turns = [Lock() for _ in range(_TURNS)]

    def recalls(self, subject: str, stored_hash: str, password: str) -> bool:
        """Tell whether exactly this was verified less than a minute ago."""
        return self._digest(subject, stored_hash, password) in self._verified

    def remember(self, subject: str, stored_hash: str, password: str) -> None:
        """Keep that the password matched the stored hash."""
        self._verified.add(self._digest(subject, stored_hash, password))

    def turn(self, username: str, password: str) -> Lock:
        """Return what to hold while these are verified.

        Of many who log in alike at the same moment, one pays for the slow hash, and the others
        find it remembered. Others have turns of their own but for a rare coincidence, which
        nobody can bring about without the key.
        """
        digest = self._digest("", username.casefold(), password)
        return self._turns[digest[0] % _TURNS]

    def clear(self) -> None:
        """Forget everything."""
        self._verified.clear()

    def _digest(self, subject: str, stored_hash: str, password: str) -> bytes:
        # The stored hash holds no line feed, so the parts cannot run into each other.
        message = f"{subject}\n{stored_hash}\n{password}".encode()
        return blake2b(message, key=self._key, digest_size=32).digest()


MEMORY = PasswordMemory()
