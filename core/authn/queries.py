"""Reads of tokens, each with one statement."""

from django.db.models import QuerySet

from core.authn.errors import PersonalTokenUnknown
from core.authn.models import PersonalToken, RefreshToken, SigningKey
from core.users.models import User


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


def list_signing_keys() -> QuerySet[SigningKey]:
    """Return all keys, the newest first."""
    return SigningKey.objects.order_by("-activates_at", "-pk")
