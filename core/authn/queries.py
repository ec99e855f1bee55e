"""Reads of tokens, each with one statement."""

from django.db.models import QuerySet

from core.authn.errors import PersonalTokenUnknown, SessionUnknown
from core.authn.models import BrowserSession, PersonalToken, RefreshToken, SigningKey
from core.authn.rules import seen_since
from core.common.clock import now
from core.system_settings.queries import current as current_settings
from core.users.models import User
from core.users.revocations import find_generations
from core.users.types import subject_of


def find_personal_token_by_hash(secret_hash: bytes) -> PersonalToken | None:
    """Return the token with its user, whether or not it is in force."""
    return PersonalToken.objects.select_related("user").filter(secret_hash=secret_hash).first()


def find_personal_token(token_id: int) -> PersonalToken | None:
    """Return the token with its user, whether or not it is in force."""
    return PersonalToken.objects.select_related("user").filter(pk=token_id).first()


def get_personal_token(user: User, token_id: int) -> PersonalToken:
    """Return a token of that user. Raises ``PersonalTokenUnknown``, also for others' tokens."""
    token = PersonalToken.objects.select_related("user").filter(user=user, pk=token_id).first()
    if token is None:
        raise PersonalTokenUnknown
    return token


def list_personal_tokens(user: User) -> QuerySet[PersonalToken]:
    """Return the user's tokens that are not revoked, newest first, expired ones included."""
    return PersonalToken.objects.filter(user=user, revoked_at=None).order_by("-pk")


def find_refresh_token(secret_hash: bytes) -> RefreshToken | None:
    """Return the refresh token, whether or not it is in force."""
    return RefreshToken.objects.filter(secret_hash=secret_hash).first()


def list_browser_sessions(user: User) -> QuerySet[BrowserSession]:
    """Return the user's sessions that are in force, the newest first."""
    return BrowserSession.objects.filter(
        user=user,
        generation__gte=find_generations(subject_of(user.pk)).credentials,
        last_seen_at__gt=seen_since(now(), current_settings().session_timeout),
    ).order_by("-pk")


def get_browser_session(user: User, session_id: int) -> BrowserSession:
    """Return a session of that user that is in force. Raises ``SessionUnknown``."""
    session = list_browser_sessions(user).filter(pk=session_id).first()
    if session is None:
        raise SessionUnknown
    return session


def list_signing_keys() -> QuerySet[SigningKey]:
    """Return all keys, the newest first."""
    return SigningKey.objects.order_by("-activates_at", "-pk")
