"""Plain values of the feature and the shape of an authenticator."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from core.common.origin import Origin
from core.rbac.types import Actor, ActorKind
from core.users.types import LoginFacts


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a secret as a client presented them, checked by nobody yet."""

    username: str
    secret: str = field(repr=False)

    @classmethod
    def from_basic(cls, value: str) -> "Credentials | None":
        """Return what the value of a Basic header holds (RFC 7617, UTF-8), None if malformed."""
        try:
            text = a2b_base64(value.strip(), strict_mode=True).decode()
        except (Base64Error, ValueError):
            return None
        username, colon, secret = text.partition(":")
        return cls(username, secret) if colon and "\x00" not in text else None


class Authenticator(Protocol):
    """What a module named in the setting ``AUTHENTICATORS`` provides."""

    def authenticate(self, credentials: Credentials, origin: Origin) -> Actor | None:
        """Return the actor; None when the credentials are of a sort it does not know.

        Raises ``InvalidCredentials`` when they are of its sort and do not hold.
        """

    def load(self, subject: str, origin: Origin) -> Actor | None:
        """Return the actor for a subject key, with its rights of this moment.

        None when subjects of that kind belong to another authenticator. Raises
        ``InvalidCredentials`` when the subject is gone, disabled or expired.
        """


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a login with a personal access token is decided by; ``user`` is whose it is."""

    id: int
    user: LoginFacts
    scopes: frozenset[str]
    project_names: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A proven actor and a generation of its subject that was read no later than the proof.

    Whatever is issued in a session carries the generation, and ends with it
    (``core.users.revocations``).
    """

    actor: Actor
    generation: int


class ProjectStamp(NamedTuple):
    """Which project a token means by a name, and before or after which withdrawals."""

    id: int
    generation: int


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of a registry token: what may be done with one resource.

    ``type`` is ``repository`` or ``registry``; actions are those of the token protocol
    (``pull``, ``push``, ``delete``, ``*``).
    """

    type: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A registry token on its way to a client."""

    token: str = field(repr=False)
    expires_in_seconds: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """The content of a verified registry token.

    ``subject`` is the key of ``Actor.subject``, also for anonymous callers. ``token_id`` names
    the personal access token it was issued for. ``generation`` is that of the subject when it was
    issued, and ``projects`` holds, by name, the projects that it speaks of.
    """

    subject: str
    kind: ActorKind
    id: int | None
    label: str
    token_id: int | None
    generation: int
    projects: Mapping[str, ProjectStamp] = field(hash=False)
    expires_at: datetime
    access: tuple[Access, ...]

    def allows(self, name: str, action: str, *, type: str = "repository") -> bool:  # noqa: A002
        """Tell whether the token lists the action, or all actions, for that resource."""
        return any(
            entry.name == name
            and entry.type == type
            and (action in entry.actions or "*" in entry.actions)
            for entry in self.access
        )

    def as_actor(self, origin: Origin) -> Actor:
        """Return who holds the token, for audit and ownership; it carries no rights.

        ``core.authn.services.load_actor`` returns the same subject with its rights.
        """
        return Actor(
            kind=self.kind,
            id=self.id,
            label=self.label,
            origin=origin,
            token_id=self.token_id,
            scopes=frozenset(),
        )
