"""Limits and validity: pure decisions."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from core.authn.errors import InvalidCredentials, PersonalTokenInvalid, TokenTooWide
from core.authn.types import TokenFacts
from core.common.origin import Origin, parsed_address
from core.common.secrets_format import is_well_formed
from core.rbac.rules import SCOPES
from core.rbac.types import Actor, ActorKind
from core.users.types import LoginFacts

FAILURE_WINDOW: Final = timedelta(minutes=5)
FAILURES_PER_PAIR: Final = 10
FAILURES_PER_ADDRESS: Final = 50
FAILURES_PER_USERNAME: Final = 100
REPEAT_WINDOW_SECONDS: Final = 2
"""containerd presents the same credentials by POST and then by GET."""

MAXIMUM_USERNAME_LENGTH: Final = 512
MAXIMUM_SECRET_LENGTH: Final = 1024
MAXIMUM_NAME_LENGTH: Final = 255
MAXIMUM_DESCRIPTION_LENGTH: Final = 1024
MAXIMUM_PROJECTS: Final = 1000

REFRESH_TOKEN_LIFETIME: Final = timedelta(days=90)
"""How long a refresh token lives after its last use."""
USE_RECORDED_EVERY: Final = timedelta(minutes=1)

UPLOAD_GRACE: Final = timedelta(hours=24)
"""How long after its end a token still serves the upload that it started."""
ACTIVATION_DELAY: Final = timedelta(seconds=60)
"""How long a new signing key is published before it signs."""
_RETIREMENT_MARGIN: Final = timedelta(hours=1)
_UNGUESSABLE: Final = ("pat", "rob")
"""Kinds of secrets that stand where a password does."""


def ensure_creatable(
    *,
    name: str,
    description: str,
    scopes: Collection[str],
    project_names: Sequence[str],
    expires_at: datetime | None,
    now: datetime,
) -> None:
    """Refuse a personal access token that makes no sense. Raises ``PersonalTokenInvalid``."""
    if not name.strip() or len(name) > MAXIMUM_NAME_LENGTH or not name.isprintable():
        raise PersonalTokenInvalid("A token needs a name of at most 255 printable characters.")
    if len(description) > MAXIMUM_DESCRIPTION_LENGTH or "\x00" in description:
        raise PersonalTokenInvalid("The description is too long or cannot be stored.")
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        raise PersonalTokenInvalid(
            f"A token needs at least one of the scopes {', '.join(sorted(SCOPES))}.",
            detail={"unknown_scopes": unknown},
        )
    if len(project_names) > MAXIMUM_PROJECTS or not all(
        0 < len(project) <= MAXIMUM_NAME_LENGTH and project.isprintable()
        for project in project_names
    ):
        raise PersonalTokenInvalid("The project names are not valid.")
    if expires_at is not None and expires_at <= now:
        raise PersonalTokenInvalid("The token would have expired already.")


def ensure_not_wider(
    actor: Actor,
    *,
    scopes: Collection[str],
    project_names: Collection[str],
    expires_at: datetime | None,
) -> None:
    """Keep a limited token from creating one with wider limits. Raises ``TokenTooWide``."""
    if actor.scopes is not None and not set(scopes) <= actor.scopes:
        raise TokenTooWide
    if actor.scope_projects is not None and not (
        project_names and set(project_names) <= actor.scope_projects
    ):
        raise TokenTooWide
    if actor.expires_at is not None and (expires_at is None or expires_at > actor.expires_at):
        raise TokenTooWide("A token cannot create a token that outlives it.")


def is_live(*, expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> bool:
    """Tell whether a stored token still counts."""
    return revoked_at is None and (expires_at is None or expires_at > now)


def user_actor(user: LoginFacts, origin: Origin) -> Actor:
    """Return the actor of a user that acts with all its rights."""
    return Actor(
        kind=ActorKind.USER,
        id=user.user_id,
        label=user.username,
        origin=origin,
        is_system_admin=user.is_system_admin,
    )


def token_actor(token: TokenFacts, origin: Origin, now: datetime) -> Actor:
    """Return the user of a personal access token within the token's limits.

    Raises ``InvalidCredentials`` unless both are in force.
    """
    if not token.user.is_active or not is_live(
        expires_at=token.expires_at, revoked_at=token.revoked_at, now=now
    ):
        raise InvalidCredentials
    return replace(
        user_actor(token.user, origin),
        token_id=token.id,
        scopes=token.scopes,
        scope_projects=token.project_names or None,
        expires_at=token.expires_at,
    )


def use_is_due(last_used_at: datetime | None, now: datetime) -> bool:
    """Tell whether a use is to be written: at most one write a minute for each token."""
    return last_used_at is None or now - last_used_at >= USE_RECORDED_EVERY


def is_refresh_token_live(
    *,
    generation: int,
    expires_at: datetime,
    revoked_at: datetime | None,
    credentials_generation: int,
    now: datetime,
) -> bool:
    """Tell whether a refresh token counts, given when its subject's credentials last changed."""
    if generation < credentials_generation:
        return False
    return is_live(expires_at=expires_at, revoked_at=revoked_at, now=now)


def refresh_token_end(credentials_end: datetime | None, now: datetime) -> datetime:
    """Return until when a refresh token lives that is used now."""
    end = now + REFRESH_TOKEN_LIFETIME
    return end if credentials_end is None else min(end, credentials_end)


def earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    """Return the earlier of two ends; None stands for no end."""
    return min((end for end in (first, second) if end is not None), default=None)


def is_unguessable(secret: str) -> bool:
    """Tell whether a secret has the form of those that we make, with their checksum.

    They are too long to be guessed, so throttling them would only lock their owners out.
    """
    return any(is_well_formed(secret, kind) for kind in _UNGUESSABLE)


def is_presentable(username: str, secret: str) -> bool:
    """Tell whether such credentials can belong to anybody, before anything is computed."""
    return (
        len(username) <= MAXIMUM_USERNAME_LENGTH
        and 0 < len(secret) <= MAXIMUM_SECRET_LENGTH
        and _is_storable(username)
        and _is_storable(secret)
    )


def storable_address(address: str | None) -> str | None:
    """Return the address without the zone of IPv6, or None when it is no IP address."""
    parsed = parsed_address(address or "")
    return str(parsed) if parsed is not None else None


def retry_after_seconds(counted_failures: Collection[datetime | None], now: datetime) -> int | None:
    """Return how long to wait, or None when the login may go on.

    Each element is the failure that fills up one limit, or None where the limit is not reached;
    a limit has room again once that failure leaves the window.
    """
    waits = [
        (failed_at + FAILURE_WINDOW - now).total_seconds()
        for failed_at in counted_failures
        if failed_at is not None
    ]
    return max(1, round(max(waits) + 0.5)) if waits else None


def lifetime_seconds(configured: int, *, expires_at: datetime | None, now: datetime) -> int:
    """Return how long a registry token may live: never longer than what it was issued for.

    Zero or less means that its subject has expired.
    """
    if expires_at is None:
        return configured
    return min(configured, int((expires_at - now).total_seconds()))


def seen_since(now: datetime, timeout_minutes: int) -> datetime:
    """Return since when a session in a browser must have been used to be in force."""
    return now - timedelta(minutes=timeout_minutes)


def renewal_is_due(last_seen_at: datetime, now: datetime, timeout_minutes: int) -> bool:
    """Tell whether the use of a session must be recorded; a short one is recorded more often."""
    every = min(USE_RECORDED_EVERY, timedelta(minutes=timeout_minutes) / 10)
    return last_seen_at + every <= now


def retirement(activates_at: datetime, *, token_lifetime: timedelta) -> datetime:
    """Return until when the former key has to verify once the next one has begun to sign."""
    return activates_at + token_lifetime + UPLOAD_GRACE + _RETIREMENT_MARGIN


def _is_storable(text: str) -> bool:
    if text.isascii():
        return "\x00" not in text
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
