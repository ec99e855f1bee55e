"""Format of the secrets this product issues: ``rsd_<kind>_<30 base62><6 base62 checksum>``.

The checksum lets secret scanners and the login path discard mistyped or foreign strings
without a database lookup. Secrets carry about 178 bits of entropy, so one round of SHA-256 is
enough to store them.
"""

import hashlib
import secrets
import zlib
from typing import Final, Literal

SecretKind = Literal["pat", "rob", "ref"]
MARK: Final = "rsd_"
"""What every secret begins with that we make, of whatever kind."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_ENTROPY_CHARACTERS: Final = 30
_CHECKSUM_CHARACTERS: Final = 6


def new_secret(kind: SecretKind) -> str:
    """Return a fresh random secret of the given kind."""
    entropy = "".join(secrets.choice(_ALPHABET) for _ in range(_ENTROPY_CHARACTERS))
    body = f"{MARK}{kind}_{entropy}"
    return body + _checksum(body)


def is_well_formed(secret: str, kind: SecretKind) -> bool:
    """Tell whether the text has the shape of such a secret and its checksum holds."""
    prefix = f"{MARK}{kind}_"
    if not secret.startswith(prefix) or not secret.isascii():
        return False
    if len(secret) != len(prefix) + _ENTROPY_CHARACTERS + _CHECKSUM_CHARACTERS:
        return False
    body, checksum = secret[:-_CHECKSUM_CHARACTERS], secret[-_CHECKSUM_CHARACTERS:]
    return secrets.compare_digest(_checksum(body), checksum)


def secret_hash(secret: str) -> bytes:
    """Return the 32-byte SHA-256 under which a high-entropy secret is stored."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    rest, low = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
