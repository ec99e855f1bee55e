"""Keeping other sites from using the cookie of a session.

A browser adds the cookie to whatever is sent here. So each request that changes something and
comes with it must also carry a token, in a header that only pages of this site can set. The token
follows from the session's secret; every response to such a request carries it, refusals too, so
that a client gets it from whatever it asks first. Credentials in a header are nothing that a
browser adds by itself, and need no token.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from core.api.errors import plain_response
from core.authn.browser_sessions import MAXIMUM_SECRET_CHARACTERS
from core.authn.derived_keys import derived_key

HEADER: Final = "X-Harbor-CSRF-Token"
COOKIE: Final = "_gorilla_csrf"
"""Clients of Harbor expect it beside the header. It is set for them and never read."""
LOGIN_PATH: Final = "/c/login"
"""Begins a session of its own, and sees to the site it is called from by itself."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class BrowserSessionMiddleware:
    """Refuses changes with a session's cookie and without its token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, and add the token of the session it came with."""
        secret = session_secret(request)
        if secret is None:
            return self._get_response(request)
        token = csrf_token(secret)
        if _is_safe(request) or _is_same(request.headers.get(HEADER, ""), token):
            response = self._get_response(request)
        else:
            message = f"The header {HEADER} must hold the token of the session."
            response = plain_response(request, 403, message)
        if not response.has_header(HEADER):
            add_csrf_token(response, request, token)
        return response


def session_secret(request: HttpRequest) -> str | None:
    """Return what the cookie of a session holds; None where a header has credentials instead."""
    secret = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if request.headers.get("Authorization", "").strip() or not secret.isascii():
        return None
    return secret if 0 < len(secret) <= MAXIMUM_SECRET_CHARACTERS else None


def csrf_token(secret: str) -> str:
    """Return the token of a session."""
    key = derived_key("tokens of browser sessions")
    token = urlsafe_b64encode(hmac.digest(key, secret.encode(), hashlib.sha256)).decode()
    # Harbor's Terraform provider cuts the cookie at each "=".
    return token.rstrip("=")


def add_csrf_token(response: HttpResponseBase, request: HttpRequest, token: str) -> None:
    """Let a response carry the token."""
    response[HEADER] = token
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="Strict", secure=is_secure(request), path="/"
    )


def is_secure(request: HttpRequest) -> bool:
    """Tell whether cookies are for encrypted connections only."""
    return bool(settings.SESSION_COOKIE_SECURE) or request.is_secure()


def _is_safe(request: HttpRequest) -> bool:
    return request.method in _SAFE_METHODS or request.path == LOGIN_PATH


def _is_same(presented: str, token: str) -> bool:
    return hmac.compare_digest(presented.encode(errors="replace"), token.encode())
