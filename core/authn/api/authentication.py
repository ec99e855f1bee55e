"""Who calls the management API: credentials in the header, or the cookie of a session.

Harbor goes on as anonymous when Basic credentials are wrong; here that is always 401, so that
a mistyped password is not mistaken for a missing permission.
"""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.api.errors import CHALLENGE
from core.api.origin import origin_of
from core.authn.api.csrf import session_secret
from core.authn.browser_sessions import recall_session
from core.authn.errors import MalformedCredentials
from core.authn.services import authenticate, authenticate_bearer
from core.authn.types import Credentials
from core.rbac.types import Actor

MAXIMUM_HEADER_CHARACTERS = 8192


class CredentialsAuthentication(BaseAuthentication):
    """Makes ``request.user`` the actor that the Authorization header proves."""

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        """Return the actor, or None without credentials.

        Raises ``MalformedCredentials``, ``InvalidCredentials`` and ``LoginThrottled``.
        """
        header = request.headers.get("Authorization", "").strip()
        if not header:
            return None
        origin = origin_of(request)
        scheme, _, value = header.partition(" ")
        value = value.strip()
        if len(header) > MAXIMUM_HEADER_CHARACTERS or not value:
            raise MalformedCredentials
        if scheme.lower() == "bearer":
            return authenticate_bearer(value, origin=origin), None
        if scheme.lower() == "basic":
            credentials = Credentials.from_basic(value)
            if credentials is None:
                raise MalformedCredentials
            return authenticate(credentials, origin=origin), None
        raise MalformedCredentials

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 response."""
        return CHALLENGE


class BrowserSessionAuthentication(BaseAuthentication):
    """Makes ``request.user`` the user of a session, and ``request.auth`` the session's id."""

    def authenticate(self, request: Request) -> tuple[Actor, int] | None:
        """Return both, or None without a session that is in force."""
        secret = session_secret(request)
        if secret is None:
            return None
        is_idle = request.headers.get("X-Harbor-No-Session-Renewal", "").lower() == "true"
        return recall_session(secret, origin=origin_of(request), renew=not is_idle)
