"""Keys for one purpose each, derived from the installation's secret key (RFC 5869)."""

from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

KEY_BYTES = 32


def derived_key(purpose: str) -> bytes:
    """Return 32 bytes that only this purpose uses."""
    return _derive(settings.SECRET_KEY, purpose)


@lru_cache(maxsize=16)
def _derive(secret_key: str, purpose: str) -> bytes:
    derivation = HKDF(
        algorithm=hashes.SHA256(),
        length=KEY_BYTES,
        salt=None,
        info=f"roadstead {purpose}".encode(),
    )
    return derivation.derive(secret_key.encode())
