"""Registry tokens: ES256 JWTs of the distribution token protocol, issued and verified.

Claims are those of the protocol (``iss``, ``sub``, ``aud``, ``exp``, ``nbf``, ``iat``,
``jti``, ``access``) and private ones: ``rs_kind``, ``rs_id``, ``rs_label``, ``rs_token``
(personal access token), ``rs_gen`` (generation of the subject, see
``core.users.revocations``) and ``rs_projects`` (name to id and generation of each project
that the access is in).
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import jwt

from core.authn import rules
from core.authn.errors import InvalidCredentials, RegistryTokenInvalid
from core.authn.signing_keys import ALGORITHM, KEY_RING, Signer
from core.authn.types import Access, IssuedToken, ProjectStamp, RegistryToken, Session
from core.common.clock import now as current_time
from core.rbac.types import ActorKind
from core.system_settings import queries as system_settings

ISSUER: Final = "roadstead"
LEEWAY_SECONDS: Final = 60
"""For clocks of other hosts that are ahead; ``exp`` has none, it is ours to give."""
MAXIMUM_TOKEN_CHARACTERS: Final = 65_536
MAXIMUM_VERIFIED: Final = 4096
_REQUIRED_CLAIMS: Final = ["iss", "sub", "aud", "exp", "nbf", "iat", "rs_kind", "rs_gen"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def issue(
    session: Session,
    access: Sequence[Access],
    *,
    projects: Mapping[str, ProjectStamp],
    service: str,
    lifetime_seconds: int | None = None,
    signer: Signer | None = None,
) -> IssuedToken:
    """Sign a token for the session's actor that lists the access, which is in the projects.

    It never outlives the actor's credentials. No I/O when the ``signer`` is given
    (``KEY_RING.recent_signer``) and the settings are recent. Raises ``InvalidCredentials`` when
    the actor has expired.
    """
    actor = session.actor
    now = current_time()
    lifetime = rules.lifetime_seconds(
        lifetime_seconds or system_settings.token_lifetime_seconds(may_read=signer is None),
        expires_at=actor.expires_at,
        now=now,
    )
    if lifetime <= 0:
        raise InvalidCredentials
    seconds = int(now.timestamp())
    signer = signer or KEY_RING.signer()
    content = _Content(
        key_id=signer.key_id,
        service=service,
        issued_at=seconds,
        expires_at=seconds + lifetime,
        subject=actor.subject,
        kind=actor.kind,
        id=actor.id,
        label=actor.label,
        token_id=actor.token_id,
        generation=session.generation,
        projects=tuple(projects.items()),
        access=tuple(access),
    )
    token = _SIGNED.get(content)
    if token is None:
        claims = _claims(content)
        token = signer.sign(claims)
        _SIGNED.put(content, token)
        # Most tokens are used at once, by clients that keep their connection to this process.
        _VERIFIED.put(_fingerprint(token, service), _Verified(_content(claims), signer.key_id))
    return IssuedToken(token=token, expires_in_seconds=lifetime, issued_at=now)


def verify(token: str, *, service: str, expired_grace_seconds: int = 0) -> RegistryToken:
    """Return the content of a token that we signed for that service and that is in force.

    ``expired_grace_seconds`` accepts one that ended that long ago, for the upload it started.
    Whether its subject was revoked meanwhile is for the caller's query to say. Raises
    ``RegistryTokenInvalid``.
    """
    fingerprint = _fingerprint(token, service)
    verified = _VERIFIED.get(fingerprint)
    if verified is None:
        verified = _verify_signature(token, service)
        _VERIFIED.put(fingerprint, verified)
    elif KEY_RING.public_key(verified.key_id) is None:
        raise RegistryTokenInvalid
    grace = timedelta(seconds=expired_grace_seconds)
    if current_time() >= verified.content.expires_at + grace:
        raise RegistryTokenInvalid("The token has expired.")
    return verified.content


def recall(token: str, *, service: str) -> RegistryToken | None:
    """Return what ``verify`` would when it can be told from memory, without any I/O.

    None means: ask ``verify``.
    """
    verified = _VERIFIED.get(_fingerprint(token, service))
    if verified is None or not KEY_RING.vouches_for(verified.key_id):
        return None
    return None if current_time() >= verified.content.expires_at else verified.content


def public_keys() -> dict[str, Any]:
    """Return the JSON Web Key Set (RFC 7517) with which others can verify our tokens."""
    return {"keys": [dict(jwk) for jwk in KEY_RING.public_jwks()]}


def forget_verified() -> None:
    """Drop what this process remembers of keys and tokens."""
    KEY_RING.forget()
    _VERIFIED.clear()
    _SIGNED.clear()


class _Content(NamedTuple):
    """All that tells one token from another, but for its number."""

    key_id: str
    service: str
    issued_at: int
    expires_at: int
    subject: str
    kind: ActorKind
    id: int | None
    label: str
    token_id: int | None
    generation: int
    projects: tuple[tuple[str, ProjectStamp], ...]
    access: tuple[Access, ...]


class _SignedTokens:
    """The tokens signed in the present second.

    A hundred nodes that pull one image ask for the same token at once. Each request is proven
    and decided by itself; only what would be signed again, word for word, is not.
    """

    def __init__(self) -> None:
        self._second = 0
        self._tokens: dict[_Content, str] = {}

    def get(self, content: _Content) -> str | None:
        return self._tokens.get(content)

    def put(self, content: _Content, token: str) -> None:
        if content.issued_at != self._second:
            self._second, self._tokens = content.issued_at, {}
        self._tokens[content] = token

    def clear(self) -> None:
        self._tokens = {}


_SIGNED = _SignedTokens()


def _claims(content: _Content) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "sub": "" if content.kind is ActorKind.ANONYMOUS else content.subject,
        "aud": content.service,
        "exp": content.expires_at,
        "nbf": content.issued_at,
        "iat": content.issued_at,
        "jti": os.urandom(16).hex(),
        "access": [
            {"type": entry.type, "name": entry.name, "actions": sorted(entry.actions)}
            for entry in content.access
        ],
        "rs_kind": content.kind,
        "rs_id": content.id,
        "rs_label": content.label,
        "rs_token": content.token_id,
        "rs_gen": content.generation,
        "rs_projects": dict(content.projects),
    }


def _fingerprint(token: str, service: str) -> bytes:
    return hashlib.sha256(f"{service}\n{token}".encode(errors="replace")).digest()


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature held, or that was signed here, and the key that proves it."""

    content: RegistryToken
    key_id: str


class _VerifiedTokens:
    """The tokens last signed or verified by this process; the least recently used fall out."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._tokens: OrderedDict[bytes, _Verified] = OrderedDict()

    def get(self, fingerprint: bytes) -> _Verified | None:
        with self._guard:
            verified = self._tokens.get(fingerprint)
            if verified is not None:
                self._tokens.move_to_end(fingerprint)
            return verified

    def put(self, fingerprint: bytes, verified: _Verified) -> None:
        with self._guard:
            self._tokens[fingerprint] = verified
            if len(self._tokens) > MAXIMUM_VERIFIED:
                self._tokens.popitem(last=False)

    def clear(self) -> None:
        with self._guard:
            self._tokens.clear()


_VERIFIED = _VerifiedTokens()


def _verify_signature(token: str, service: str) -> _Verified:
    if len(token) > MAXIMUM_TOKEN_CHARACTERS:
        raise RegistryTokenInvalid
    try:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        # The algorithm is ours to choose; whatever the header says, nothing else is tried.
        if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
            raise RegistryTokenInvalid
        public_key = KEY_RING.public_key(key_id)
        if public_key is None:
            raise RegistryTokenInvalid("The token was signed with a key that is not in use.")
        claims = jwt.decode(
            token,
            public_key,
            algorithms=[ALGORITHM],
            audience=service,
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            # An expired token may still serve an upload; verify() decides about the end.
            options={"require": _REQUIRED_CLAIMS, "verify_exp": False},
        )
        return _Verified(content=_content(claims), key_id=key_id)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise RegistryTokenInvalid from error


def _content(claims: dict[str, Any]) -> RegistryToken:
    kind = ActorKind(claims["rs_kind"])
    return RegistryToken(
        subject=claims["sub"] or str(kind),
        kind=kind,
        id=claims["rs_id"],
        label=claims["rs_label"],
        token_id=claims["rs_token"],
        generation=int(claims["rs_gen"]),
        projects={
            name: ProjectStamp(int(id_), int(generation))
            for name, (id_, generation) in dict(claims["rs_projects"]).items()
        },
        expires_at=_EPOCH + timedelta(seconds=claims["exp"]),
        access=tuple(
            Access(
                type=entry["type"],
                name=entry["name"],
                actions=frozenset(entry["actions"]),
            )
            for entry in claims["access"]
        ),
    )
