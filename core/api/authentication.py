"""Who calls the management API: Basic credentials or a bearer secret in the header.

The check itself belongs to a feature above this package, so it is a callable that the setting
``CREDENTIALS_CHECK`` names: ``(username, secret, origin) -> Actor``. It raises when the
credentials are wrong. Harbor would go on as anonymous then; here wrong credentials are always
401, so that a mistyped password is not mistaken for a missing permission.
"""

import base64
import binascii
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.api.errors import CHALLENGE
from core.api.origin import origin_of
from core.common.errors import DomainError, ErrorKind
from core.common.origin import Origin
from core.rbac.types import Actor

CredentialsCheck = Callable[[str, str, Origin], Actor]

MAXIMUM_HEADER_CHARACTERS = 8192
DEFAULT_CHECK = "core.authn.api.credentials.check"


class MalformedCredentials(DomainError):
    """The Authorization header is neither Basic nor Bearer, or cannot be decoded."""

    code = "UNAUTHORIZED"
    kind = ErrorKind.UNAUTHENTICATED
    default_message = "The Authorization header cannot be understood."


class CredentialsAuthentication(BaseAuthentication):
    """Makes ``request.user`` the actor that the Authorization header proves."""

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        """Return the actor, or None without credentials. Raises on wrong credentials."""
        header = request.headers.get("Authorization", "").strip()
        if not header:
            return None
        username, secret = parse_header(header)
        return _check()(username, secret, origin_of(request)), None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 response."""
        return CHALLENGE


def parse_header(header: str) -> tuple[str, str]:
    """Return user name and secret of an Authorization header.

    A bearer secret (a personal access token) has an empty user name. Raises
    ``MalformedCredentials``.
    """
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if len(header) > MAXIMUM_HEADER_CHARACTERS or not value:
        raise MalformedCredentials
    if scheme.lower() == "bearer":
        return "", value
    if scheme.lower() != "basic":
        raise MalformedCredentials
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise MalformedCredentials from error
    username, colon, secret = text.partition(":")
    if not colon or "\x00" in text:
        raise MalformedCredentials
    return username, secret


@cache
def _check() -> CredentialsCheck:
    check: CredentialsCheck = import_string(getattr(settings, "CREDENTIALS_CHECK", DEFAULT_CHECK))
    return check
