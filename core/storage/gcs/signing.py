"""Links that let a client read one object from the service itself.

The SDK signs with the time of the call, so that every link differs and no cache keeps what it
leads to. Here the time is rounded down: all processes give the same link for some minutes.
"""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlsplit

from google.auth.credentials import Credentials, Signing
from google.auth.iam import Signer
from google.auth.transport.requests import Request

from core.common.clock import now

ROUNDED_TO_SECONDS = 300

_REMEMBERED = 4096


class _SignsBytes(Protocol):
    def __call__(self, message: bytes) -> bytes: ...


class LinkSigner:
    """Makes links to the objects of one bucket, with a key or with the service that has it."""

    def __init__(self, base_url: str, credentials: Credentials) -> None:
        """Take the address that the names of objects are appended to."""
        self._base_url = base_url
        self._credentials = credentials
        # Without a key each signature is a request.
        self._signed = lru_cache(_REMEMBERED)(self._sign)

    def link(self, name: str, lifetime_seconds: int) -> str | None:
        """Return a link that works for at least that long; None where nobody can sign it.

        Raises GoogleAuthError when the service refuses to sign.
        """
        time = int(now().timestamp())
        return self._signed(
            f"{self._base_url}{quote(name)}",
            time - time % ROUNDED_TO_SECONDS,
            lifetime_seconds + ROUNDED_TO_SECONDS,
        )

    def _sign(self, url: str, timestamp: int, valid_seconds: int) -> str | None:
        signer = _signer(self._credentials)
        if signer is None:
            return None
        email, sign = signer
        moment = datetime.fromtimestamp(timestamp, tz=UTC)
        return presigned(url, email, sign, signed_at=moment, valid_seconds=valid_seconds)


def _signer(credentials: Credentials) -> tuple[str, _SignsBytes] | None:
    """Return who signs, and how."""
    if isinstance(credentials, Signing):
        return credentials.signer_email, credentials.sign_bytes
    if not hasattr(credentials, "service_account_email"):
        return None
    request = Request()
    if not credentials.valid:
        # The name of the account comes with the first token.
        credentials.refresh(request)  # type: ignore[no-untyped-call] # the SDK's
    email = str(credentials.service_account_email)
    signer = Signer(request, credentials, email)  # type: ignore[no-untyped-call] # the SDK's
    return email, signer.sign


def presigned(
    url: str, email: str, sign: _SignsBytes, *, signed_at: datetime, valid_seconds: int
) -> str:
    """Return ``url`` for a GET with a signature (version 4) in the query."""
    date, timestamp = f"{signed_at:%Y%m%d}", f"{signed_at:%Y%m%dT%H%M%SZ}"
    scope = f"{date}/auto/storage/goog4_request"
    query = {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Credential": f"{email}/{scope}",
        "X-Goog-Date": timestamp,
        "X-Goog-Expires": str(valid_seconds),
        "X-Goog-SignedHeaders": "host",
    }
    encoded = "&".join(f"{name}={quote(value, '')}" for name, value in query.items())
    parts = urlsplit(url)
    request = f"GET\n{parts.path}\n{encoded}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = sign(f"GOOG4-RSA-SHA256\n{timestamp}\n{scope}\n{digest}".encode()).hex()
    return f"{url}?{encoded}&X-Goog-Signature={signature}"
