"""The keys that sign registry tokens: made, published, rotated and retired.

The private half is encrypted with a key derived from the installation's secret key. Each
process keeps the keys for ``RELOAD_SECONDS`` and looks again, at most once a second, when a
token names a key it does not know.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm

from core.authn.derived_keys import derived_key
from core.authn.errors import SigningKeyUnreadable
from core.authn.models import SigningKey
from core.common.clock import now as current_time

RELOAD_SECONDS: Final = 15.0
UNKNOWN_KEY_RELOAD_SECONDS: Final = 1.0
ALGORITHM: Final = "ES256"
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_NUMBER_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A key as one process keeps it. The private half is decrypted when it signs."""

    key_id: str
    activates_at: datetime
    retires_at: datetime | None
    public_jwk: Mapping[str, str]
    public_key: ec.EllipticCurvePublicKey
    private_key_encrypted: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """The private half of a key, ready to sign tokens (RFC 7515, compact serialization)."""

    key_id: str
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    header: bytes
    """The encoded header, which is the same for every token of a key."""

    @classmethod
    def of(cls, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> "Signer":
        """Return the signer of a key."""
        header = {"alg": ALGORITHM, "kid": key_id, "typ": "JWT"}
        return cls(key_id, private_key, _encoded(_json(header)))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the token with these claims."""
        message = self.header + b"." + _encoded(_json(claims))
        # JOSE wants the two numbers side by side, not in ASN.1 (RFC 7518, section 3.4).
        r, s = decode_dss_signature(self.private_key.sign(message, _ECDSA))
        signature = r.to_bytes(_NUMBER_BYTES) + s.to_bytes(_NUMBER_BYTES)
        return (message + b"." + _encoded(signature)).decode()


class KeyRing:
    """All keys that are not retired, newest first, cached for the process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._keys: dict[str, LoadedKey] = {}
        self._signers: dict[str, Signer] = {}
        self._loaded_at = float("-inf")

    def signer(self) -> Signer:
        """Return what signs with the newest active key. Raises ``SigningKeyUnreadable``."""
        key = self._signing()
        if key is None:
            raise SigningKeyUnreadable(
                "There is no signing key. Make one with: roadstead keys rotate --now"
            )
        signer = self._signers.get(key.key_id)
        if signer is None:
            signer = Signer.of(key.key_id, decrypt_private_key(key.private_key_encrypted))
            self._signers[key.key_id] = signer
        return signer

    def recent_signer(self) -> Signer | None:
        """Return the same when it can be told from recent memory; no I/O."""
        if time.monotonic() - self._loaded_at >= RELOAD_SECONDS:
            return None
        key = _signing_among(self._keys, current_time())
        return self._signers.get(key.key_id) if key is not None else None

    def public_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public half of a key that still verifies, or None."""
        key = self._current().get(key_id)
        if key is None:
            key = self._reload_if_older_than(UNKNOWN_KEY_RELOAD_SECONDS).get(key_id)
        if key is None or _is_retired(key, current_time()):
            return None
        return key.public_key

    def vouches_for(self, key_id: str) -> bool:
        """Tell whether a key verifies, as far as recent memory goes; no I/O."""
        if time.monotonic() - self._loaded_at >= RELOAD_SECONDS:
            return False
        key = self._keys.get(key_id)
        return key is not None and not _is_retired(key, current_time())

    def public_jwks(self) -> list[Mapping[str, str]]:
        """Return the published form of every key that verifies or soon will."""
        now = current_time()
        return [key.public_jwk for key in self._current().values() if not _is_retired(key, now)]

    def forget(self) -> None:
        """Read the keys again at the next use."""
        with self._guard:
            self._loaded_at = float("-inf")
            self._signers = {}

    def _signing(self) -> LoadedKey | None:
        """Return the newest active key, or the oldest on a host whose clock is behind."""
        for reload_seconds in (RELOAD_SECONDS, UNKNOWN_KEY_RELOAD_SECONDS):
            key = _signing_among(self._reload_if_older_than(reload_seconds), current_time())
            if key is not None:
                return key
        return None

    def _current(self) -> dict[str, LoadedKey]:
        return self._reload_if_older_than(RELOAD_SECONDS)

    def _reload_if_older_than(self, seconds: float) -> dict[str, LoadedKey]:
        if time.monotonic() - self._loaded_at < seconds:
            return self._keys
        with self._guard:
            if time.monotonic() - self._loaded_at >= seconds:
                self._keys = _load_keys()
                self._loaded_at = time.monotonic()
            return self._keys


KEY_RING = KeyRing()


def new_signing_key(*, created_at: datetime, activates_at: datetime) -> SigningKey:
    """Return a fresh P-256 key pair, not yet stored."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    jwk = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    key_id = thumbprint(jwk)
    return SigningKey(
        key_id=key_id,
        private_key_encrypted=_encrypt_private_key(private_key),
        public_jwk={
            "kty": jwk["kty"],
            "crv": jwk["crv"],
            "x": jwk["x"],
            "y": jwk["y"],
            "kid": key_id,
            "use": "sig",
            "alg": ALGORITHM,
        },
        created_at=created_at,
        activates_at=activates_at,
    )


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the RFC 7638 thumbprint of an elliptic curve key, base64url without padding."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).digest()
    return _encoded(digest).decode()


def decrypt_private_key(encrypted: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the private key. Raises ``SigningKeyUnreadable``."""
    try:
        encoded = _fernet().decrypt(encrypted)
    except InvalidToken as error:
        raise SigningKeyUnreadable from error
    key = serialization.load_der_private_key(encoded, password=None)
    return cast(ec.EllipticCurvePrivateKey, key)


def _encrypt_private_key(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    encoded = private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _fernet().encrypt(encoded)


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derived_key("signing keys")))


def _load_keys() -> dict[str, LoadedKey]:
    return {
        row.key_id: LoadedKey(
            key_id=row.key_id,
            activates_at=row.activates_at,
            retires_at=row.retires_at,
            public_jwk=row.public_jwk,
            public_key=cast(ec.EllipticCurvePublicKey, ECAlgorithm.from_jwk(row.public_jwk)),
            private_key_encrypted=bytes(row.private_key_encrypted),
        )
        for row in SigningKey.objects.order_by("-activates_at", "-pk")
    }


def _signing_among(keys: Mapping[str, LoadedKey], now: datetime) -> LoadedKey | None:
    oldest = None
    for key in keys.values():
        if not _is_retired(key, now):
            if key.activates_at <= now:
                return key
            oldest = key
    return oldest


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(data: bytes) -> bytes:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _is_retired(key: LoadedKey, now: datetime) -> bool:
    return key.retires_at is not None and key.retires_at <= now
