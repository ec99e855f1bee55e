"""Logging in, and issuing and ending tokens and keys."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db import IntegrityError, transaction

from core.audit import services as audit
from core.audit.buffer import record_buffered
from core.audit.types import AuditRecord, Outcome
from core.authn import queries, rules, throttle
from core.authn.authenticators import ask_authenticators, load_subject
from core.authn.errors import (
    InvalidCredentials,
    LoginThrottled,
    PersonalTokenNameTaken,
    PersonalTokenUnknown,
)
from core.authn.login_records import record_login
from core.authn.models import PersonalToken, RefreshToken, SigningKey
from core.authn.recent_keys import RecentKeys
from core.authn.signing_keys import KEY_RING, decrypt_private_key, new_signing_key
from core.authn.token_authenticator import PREFIX, actor_of
from core.authn.token_limits import hold_projects_locked
from core.authn.types import Credentials, RegistryToken, Session
from core.common.clock import now as current_time
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed, new_secret, secret_hash
from core.database import raw
from core.database.read_only import unless_read_only
from core.database.transactions import durable_write
from core.rbac.errors import PermissionDenied
from core.rbac.types import Actor, ActorKind
from core.system_settings import queries as system_settings
from core.users.models import User
from core.users.revocations import (
    find_generations,
    revoke_registry_tokens_locked,
    revoke_subject_locked,
)
from core.users.types import subject_of

Read = TypeVar("Read")

KEEP_ENDED_TOKENS: Final = timedelta(days=90)
"""How long a personal token stays listed for audit after its end."""
_FIRST_KEY_LOCK: Final = 0x72736B31

# Scripts send credentials with every request; that is one login a minute.
_RECORDED_LOGINS = RecentKeys(seconds=60, maximum=4096)

_DELETE_ENDED_REFRESH_TOKENS: Final = """
DELETE FROM authn_refreshtoken AS token
WHERE expires_at <= %s OR revoked_at IS NOT NULL OR EXISTS (
  SELECT FROM users_revocation AS revocation
  WHERE revocation.subject = token.subject
    AND revocation.credentials_generation > token.generation
)
"""

_DELETE_ENDED_PERSONAL_TOKENS: Final = """
DELETE FROM authn_personaltoken WHERE revoked_at <= %s OR expires_at <= %s
"""

_DELETE_ENDED_SESSIONS: Final = """
DELETE FROM authn_browsersession AS session
WHERE last_seen_at <= %s OR EXISTS (
  SELECT FROM users_revocation AS revocation
  WHERE revocation.subject = 'user:' || session.user_id
    AND revocation.credentials_generation > session.generation
)
"""


@dataclass(frozen=True, slots=True)
class NewPersonalToken:
    """A token as it was just created; the secret exists nowhere else."""

    token: PersonalToken
    secret: str = field(repr=False)


def authenticate(credentials: Credentials, *, origin: Origin) -> Actor:
    """Return who the credentials of a request prove; see ``verify_credentials``.

    For requests that carry credentials each time: a success is audited once a minute for each
    subject, address and client.
    """
    actor = verify_credentials(credentials, origin=origin)
    if _RECORDED_LOGINS.add(_client_key(actor)):
        record_login(actor)
    return actor


def verify_credentials(credentials: Credentials, *, origin: Origin) -> Actor:
    """Return who the credentials prove, asking the authenticators in order.

    A failure is counted and audited before it is raised; a success is for the caller to audit.
    Raises ``InvalidCredentials``, and ``LoginThrottled`` before anybody looks at a secret that
    could be guessed. A secret that cannot be guessed is always looked at, so nobody can lock
    it out; ``LoginThrottled`` is then raised only when it does not hold.
    """
    attempt = throttle.Attempt.of(credentials, origin)
    try:
        if rules.is_unguessable(credentials.secret):
            return _ask_about_unguessable(attempt, credentials, origin)
        has_failures = throttle.ensure_allowed(attempt)
        actor = ask_authenticators(credentials, origin)
    except InvalidCredentials as error:
        _record_failure(attempt, origin, error.message)
        raise
    except LoginThrottled:
        record_buffered(_login_record(Actor.anonymous(origin), attempt.username, "throttled"))
        raise
    if has_failures:
        throttle.clear(attempt)
    return actor


def verify_own_password(password: str, *, actor: Actor) -> None:
    """Let a user who has logged in prove it once more, with the same limits as the login.

    Otherwise whoever gets hold of a session could try passwords without end. Tokens and secrets
    of others are no proof. Raises ``InvalidCredentials`` and ``LoginThrottled``.
    """
    credentials = Credentials(username=actor.label, secret=password)
    proved = verify_credentials(credentials, origin=actor.origin)
    if proved.subject != actor.subject or not proved.is_unlimited:
        raise InvalidCredentials


def authenticate_bearer(secret: str, *, origin: Origin) -> Actor:
    """Return who a personal access token proves that came without a user name.

    Raises ``InvalidCredentials`` and ``LoginThrottled``.
    """
    credentials = Credentials(username="", secret=secret)
    if not secret.startswith(PREFIX):
        # Nothing else is accepted this way, so no authenticator needs to look at it.
        error = InvalidCredentials("The bearer token is not a personal access token.")
        _record_failure(throttle.Attempt.of(credentials, origin), origin, error.message)
        raise error
    return authenticate(credentials, origin=origin)


def open_session(
    verify: Callable[[], Actor], *, read: Callable[[str], Read]
) -> tuple[Session, Read]:
    """Prove an actor in a way that lets nothing issued in the session outlive a revocation.

    ``verify`` proves the actor (for instance ``lambda: verify_credentials(...)``). It runs once
    to learn the subject and again once the subject's generation was read, because the password
    may have been changed in between; the second time is cheap. ``read`` gets the subject and
    reads, before the second look as well, which projects the session will speak of. Every
    session is a login and is audited. Raises what ``verify`` raises.
    """
    subject = verify().subject
    generation = find_generations(subject).present
    found = read(subject)
    actor = verify()
    if actor.subject != subject:
        raise InvalidCredentials
    record_login(actor)
    return Session(actor, generation), found


@durable_write
def unlock_logins(username: str, *, actor: Actor) -> int:
    """Let a name log in again that too many failures have shut out; return how many there were.

    The name need not be that of an account: robots and mistyped names are throttled too.
    """
    forgotten = throttle.forget_failures(username)
    audit.record(
        "authn.logins.unlocked",
        actor,
        target_kind="user",
        target_label=username,
        detail={"failures": forgotten},
    )
    return forgotten


def load_actor(token: RegistryToken, *, origin: Origin) -> Actor:
    """Return the holder of a verified registry token with its rights of this moment.

    Raises ``InvalidCredentials`` when the subject or its personal token is no longer in force.
    """
    if token.kind is ActorKind.ANONYMOUS:
        return Actor.anonymous(origin)
    return _load(token.subject, token.token_id, origin)


@durable_write
def create_personal_token(
    user: User,
    *,
    name: str,
    scopes: Sequence[str],
    project_names: Sequence[str] = (),
    description: str = "",
    expires_at: datetime | None = None,
    actor: Actor,
) -> NewPersonalToken:
    """Create a token for the actor itself; its secret is returned once.

    Without project names it works in every project. Raises ``PersonalTokenInvalid`` (also for
    projects that do not exist, or that the user may not know of),
    ``PersonalTokenNameTaken``, ``TokenTooWide`` and ``PermissionDenied`` for other users.
    """
    if actor.kind is not ActorKind.SYSTEM and actor.subject != subject_of(user.pk):
        raise PermissionDenied("Nobody can create a token for somebody else.")
    now = current_time()
    rules.ensure_creatable(
        name=name,
        description=description,
        scopes=scopes,
        project_names=project_names,
        expires_at=expires_at,
        now=now,
    )
    rules.ensure_not_wider(actor, scopes=scopes, project_names=project_names, expires_at=expires_at)
    hold_projects_locked(user, project_names)
    secret = new_secret("pat")
    try:
        with transaction.atomic():
            token = PersonalToken.objects.create(
                user=user,
                name=name,
                description=description,
                secret_hash=secret_hash(secret),
                hint=secret[-4:],
                scopes=sorted(set(scopes)),
                project_names=sorted(set(project_names)),
                created_at=now,
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise PersonalTokenNameTaken from error
    _record_token("authn.personal_token.created", actor, token)
    return NewPersonalToken(token=token, secret=secret)


@durable_write
def revoke_personal_token(token: PersonalToken, *, actor: Actor) -> None:
    """End the token, its refresh tokens and the registry tokens of its user at once.

    Clients with other credentials of the user fetch a new registry token by themselves.
    Raises ``PersonalTokenUnknown``; revoking twice does nothing.
    """
    locked = PersonalToken.objects.select_for_update().filter(pk=token.pk).first()
    if locked is None:
        raise PersonalTokenUnknown
    if locked.revoked_at is not None:
        return
    locked.revoked_at = current_time()
    locked.save(update_fields=["revoked_at"])
    _record_token("authn.personal_token.revoked", actor, locked)
    revoke_registry_tokens_locked(subject_of(locked.user_id))


# Not durable_write: the actor of the write is the session's.
@transaction.atomic
def issue_refresh_token(session: Session, *, client: str) -> str:
    """Return a new refresh token for the session's actor, which the named client keeps.

    Raises ``InvalidCredentials`` for actors that are neither users nor robots.
    """
    actor = session.actor
    if actor.id is None:
        raise InvalidCredentials
    now = current_time()
    secret = new_secret("ref")
    token = RefreshToken.objects.create(
        subject=actor.subject,
        subject_label=actor.label,
        secret_hash=secret_hash(secret),
        personal_token_id=actor.token_id,
        client=client.replace("\x00", "")[: rules.MAXIMUM_NAME_LENGTH],
        generation=session.generation,
        created_at=now,
        expires_at=rules.refresh_token_end(actor.expires_at, now),
        ends_at=actor.expires_at,
    )
    audit.record(
        "authn.refresh_token.issued",
        actor,
        target_kind="refresh_token",
        target_id=token.pk,
        target_label=token.client,
    )
    return secret


def redeem_refresh_token(secret: str, *, origin: Origin) -> Actor:
    """Return the actor a refresh token stands for, with its rights of this moment.

    Each use, recorded at most once a minute, lets it live longer, yet never past the end of
    the credentials it was issued for; neither does the actor. A success is for the caller to
    audit. Raises ``InvalidCredentials`` when it is unknown, expired or revoked, or when the
    credentials it was issued for have changed.
    """
    try:
        return _redeem(secret, origin)
    except InvalidCredentials:
        record_buffered(_login_record(Actor.anonymous(origin), "", "refresh token refused"))
        raise


@durable_write
def revoke_refresh_tokens(subject: str, *, actor: Actor) -> int:
    """End all refresh tokens of the subject, as for a lost laptop; returns how many."""
    count = RefreshToken.objects.filter(subject=subject, revoked_at=None).update(
        revoked_at=current_time()
    )
    audit.record(
        "authn.refresh_token.revoked",
        actor,
        target_kind="subject",
        target_label=subject,
        detail={"count": count},
    )
    # One that is being issued at this moment is not among those rows.
    revoke_subject_locked(subject)
    return count


@durable_write
def ensure_signing_key() -> None:
    """Make the first signing key, or check that the present ones can be read.

    Raises ``SigningKeyUnreadable`` when the secret key has changed.
    """
    # Several processes may start for the first time together.
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s)", (_FIRST_KEY_LOCK,))
    newest = queries.list_signing_keys().first()
    if newest is not None:
        decrypt_private_key(bytes(newest.private_key_encrypted))
        return
    now = current_time()
    key = new_signing_key(created_at=now, activates_at=now)
    key.save()
    _record_key("authn.signing_key.created", Actor.system(), key)
    transaction.on_commit(KEY_RING.forget)


@durable_write
def rotate_signing_key(*, actor: Actor, immediately: bool = False) -> SigningKey:
    """Make a new key that takes over in a minute; former keys verify until their tokens end.

    ``immediately`` is for a key that was lost or can no longer be read: the former keys stop,
    and with them every registry token signed so far, in this process at once and in every
    other within ``signing_keys.RELOAD_SECONDS``.
    """
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s)", (_FIRST_KEY_LOCK,))
    now = current_time()
    activates_at = now if immediately else now + rules.ACTIVATION_DELAY
    lifetime = timedelta(seconds=system_settings.token_lifetime_seconds())
    if immediately:
        SigningKey.objects.update(retires_at=now)
    else:
        SigningKey.objects.filter(retires_at=None).update(
            retires_at=rules.retirement(activates_at, token_lifetime=lifetime)
        )
    key = new_signing_key(created_at=now, activates_at=activates_at)
    key.save()
    _record_key("authn.signing_key.rotated", actor, key, immediately=immediately)
    transaction.on_commit(KEY_RING.forget)
    return key


@durable_write
def delete_expired(now: datetime) -> Mapping[str, int]:
    """Remove what is past its use and return how many of each; safe to repeat."""
    long_ago = now - KEEP_ENDED_TOKENS
    return {
        "refresh_tokens": raw.execute(_DELETE_ENDED_REFRESH_TOKENS, (now,)),
        "personal_tokens": raw.execute(_DELETE_ENDED_PERSONAL_TOKENS, (long_ago, long_ago)),
        "login_failures": throttle.delete_old(now),
        "signing_keys": raw.execute("DELETE FROM authn_signingkey WHERE retires_at <= %s", (now,)),
        "browser_sessions": raw.execute(_DELETE_ENDED_SESSIONS, (_sessions_seen_since(now),)),
    }


def _sessions_seen_since(now: datetime) -> datetime:
    return rules.seen_since(now, system_settings.current().session_timeout)


def forget_recorded_logins() -> None:
    """Audit the next request of everybody as a login, however recent the last one was."""
    _RECORDED_LOGINS.clear()


def _load(subject: str, token_id: int | None, origin: Origin) -> Actor:
    """Return the subject as it is now, within the limits of its personal token if any."""
    if token_id is None:
        return load_subject(subject, origin)
    token = queries.find_personal_token(token_id)
    if token is None:
        raise InvalidCredentials
    return actor_of(token, origin)


def _redeem(secret: str, origin: Origin) -> Actor:
    if not is_well_formed(secret, "ref"):
        raise InvalidCredentials
    token = queries.find_refresh_token(secret_hash(secret))
    now = current_time()
    if token is None or not rules.is_refresh_token_live(
        generation=token.generation,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        credentials_generation=find_generations(token.subject).credentials,
        now=now,
    ):
        raise InvalidCredentials
    actor = _load(token.subject, token.personal_token_id, origin)
    actor = replace(actor, expires_at=rules.earlier(actor.expires_at, token.ends_at))
    if rules.use_is_due(token.last_used_at, now):
        used, end = RefreshToken.objects.filter(pk=token.pk), actor.expires_at
        unless_read_only(
            lambda: used.update(last_used_at=now, expires_at=rules.refresh_token_end(end, now))
        )
    return actor


def _ask_about_unguessable(
    attempt: throttle.Attempt, credentials: Credentials, origin: Origin
) -> Actor:
    """Return the actor of a secret that needs no limit on attempts.

    It clears no failures: a token proves its user, whatever name came with it, so one's own
    token would otherwise buy further guesses at somebody else's password.
    """
    try:
        return ask_authenticators(credentials, origin)
    except InvalidCredentials:
        # A flood of made-up ones leaves no more rows than a flood of wrong passwords.
        throttle.ensure_allowed(attempt)
        raise


def _record_failure(attempt: throttle.Attempt, origin: Origin, reason: str) -> None:
    record = _login_record(Actor.anonymous(origin), attempt.username, reason)

    def store() -> bool:
        with transaction.atomic():
            audit.write([record])
            return throttle.record_failure(attempt)

    if unless_read_only(store) is None:
        throttle.remember_failure(attempt)
        record_buffered(record)


def _client_key(actor: Actor) -> bytes:
    origin = actor.origin
    key = "\n".join((actor.subject, str(actor.token_id), str(origin.address), origin.user_agent))
    return key.encode(errors="replace")


def _login_record(actor: Actor, username: str, reason: str) -> AuditRecord:
    return AuditRecord(
        action="user.login",
        actor=actor,
        target_kind="user",
        target_label=username,
        outcome=Outcome.DENIED,
        detail={"reason": reason},
    )


def _record_token(action: str, actor: Actor, token: PersonalToken) -> None:
    audit.record(
        action,
        actor,
        target_kind="personal_token",
        target_id=token.pk,
        target_label=token.name,
        detail={"scopes": token.scopes, "project_names": token.project_names},
    )


def _record_key(action: str, actor: Actor, key: SigningKey, *, immediately: bool = False) -> None:
    audit.record(
        action,
        actor,
        target_kind="signing_key",
        target_id=key.pk,
        target_label=key.key_id,
        detail={"immediately": immediately},
    )
