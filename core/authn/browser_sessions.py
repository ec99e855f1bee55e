"""Sessions: logins with a password that a browser keeps as a cookie.

They are rows, so nothing that Redis loses ends one. Whatever ends refresh tokens of a user (a
changed password, a disabled account) ends its sessions as well, at once and in every process,
because each request compares generations (``core.users.revocations``).
"""

import secrets
from dataclasses import dataclass, field
from typing import Final

from core.audit import services as audit
from core.authn import queries, rules
from core.authn.errors import InvalidCredentials, SessionUnknown
from core.authn.models import BrowserSession
from core.authn.services import open_session, verify_credentials
from core.authn.types import Credentials
from core.common.clock import now as current_time
from core.common.origin import Origin
from core.common.secrets_format import secret_hash
from core.database import raw
from core.database.read_only import unless_read_only
from core.database.transactions import durable_write
from core.rbac.types import Actor, ActorKind
from core.system_settings.queries import current as current_settings
from core.users.models import User
from core.users.rules import ensure_may_administer
from core.users.types import LoginFacts

MAXIMUM_SECRET_CHARACTERS: Final = 64
MAXIMUM_SESSIONS: Final = 100
"""Sessions that one user can have; another login ends the one that was used longest ago."""
_SECRET_BYTES: Final = 32

_FIND: Final = """
SELECT session.id, session.last_seen_at, u.id, u.username, u.password, u.is_active, u.is_superuser
FROM authn_browsersession session
JOIN users_user u ON u.id = session.user_id
LEFT JOIN users_revocation revocation ON revocation.subject = 'user:' || u.id
WHERE session.secret_hash = %s AND u.is_active
  AND session.generation >= coalesce(revocation.credentials_generation, 0)
"""
_RENEW: Final = "UPDATE authn_browsersession SET last_seen_at = %s, address = %s WHERE id = %s"
_END_SURPLUS: Final = """
DELETE FROM authn_browsersession WHERE id IN (
  SELECT id FROM authn_browsersession WHERE user_id = %s
   ORDER BY last_seen_at DESC, id DESC OFFSET %s)
"""


@dataclass(frozen=True, slots=True)
class NewBrowserSession:
    """A session that has just begun; the browser alone has the secret."""

    session_id: int
    secret: str = field(repr=False)


def log_in(credentials: Credentials, *, origin: Origin) -> NewBrowserSession:
    """Begin a session for a user with a password.

    Robots and tokens have none: who holds a limited secret must not get an unlimited one for it.
    Raises ``InvalidCredentials`` and ``LoginThrottled``.
    """
    session, _nothing = open_session(
        lambda: verify_credentials(credentials, origin=origin), read=lambda _subject: None
    )
    actor = session.actor
    if actor.kind is not ActorKind.USER or actor.id is None or not actor.is_unlimited:
        raise InvalidCredentials("Only users log in here, with their password.")
    return _begin(actor.id, generation=session.generation, actor=actor)


def recall_session(secret: str, *, origin: Origin, renew: bool) -> tuple[Actor, int] | None:
    """Return the user of a session with its rights of this moment, and the session's id.

    One statement, and another one at most once a minute to ``renew`` the session. None when it is
    not in force.
    """
    row = raw.fetch_one(_FIND, (secret_hash(secret),))
    if row is None:
        return None
    session_id, last_seen_at, *user = row
    at, timeout_minutes = current_time(), current_settings().session_timeout
    if last_seen_at <= rules.seen_since(at, timeout_minutes):
        return None
    if renew and rules.renewal_is_due(last_seen_at, at, timeout_minutes):
        renewed = (at, origin.address, session_id)
        unless_read_only(lambda: raw.execute(_RENEW, renewed))
    return rules.user_actor(LoginFacts(*user), origin), session_id


@durable_write
def log_out(secret: str, *, actor: Actor) -> None:
    """End the session of a browser; nothing happens when it has ended already."""
    session = (
        BrowserSession.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(secret_hash=secret_hash(secret))
        .first()
    )
    if session is not None:
        _end_locked([session], session.user, actor)


@durable_write
def end_session(user: User, session_id: int, *, actor: Actor) -> None:
    """End one session of a user at once.

    Raises ``SessionUnknown``, and ``PermissionDenied`` for those of an administrator.
    """
    _ensure_may_administer(user, actor)
    found = queries.list_browser_sessions(user).filter(pk=session_id).select_for_update()
    sessions = list(found)
    if not sessions:
        raise SessionUnknown
    _end_locked(sessions, user, actor)


@durable_write
def end_sessions(user: User, *, actor: Actor) -> int:
    """End all sessions of a user at once and return how many there were.

    Raises ``PermissionDenied`` for those of an administrator.
    """
    _ensure_may_administer(user, actor)
    sessions = list(BrowserSession.objects.filter(user=user).order_by("pk").select_for_update())
    _end_locked(sessions, user, actor)
    return len(sessions)


@durable_write
def _begin(user_id: int, *, generation: int, actor: Actor) -> NewBrowserSession:
    at, secret = current_time(), secrets.token_urlsafe(_SECRET_BYTES)
    session = BrowserSession.objects.create(
        user_id=user_id,
        secret_hash=secret_hash(secret),
        generation=generation,
        address=actor.origin.address,
        user_agent=actor.origin.user_agent.replace("\x00", ""),
        created_at=at,
        last_seen_at=at,
    )
    raw.execute(_END_SURPLUS, (user_id, MAXIMUM_SESSIONS))
    _record("authn.browser_session.begun", actor, session.pk, actor.label)
    return NewBrowserSession(session.pk, secret)


def _ensure_may_administer(user: User, actor: Actor) -> None:
    ensure_may_administer(actor, user_id=user.pk, is_administrator=user.is_superuser)


def _end_locked(sessions: list[BrowserSession], user: User, actor: Actor) -> None:
    for session in sessions:
        _record("authn.browser_session.ended", actor, session.pk, user.username)
    BrowserSession.objects.filter(pk__in=[session.pk for session in sessions]).delete()


def _record(action: str, actor: Actor, session_id: int, username: str) -> None:
    audit.record(
        action,
        actor,
        target_kind="browser_session",
        target_id=session_id,
        target_label=username,
    )
