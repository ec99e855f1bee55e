"""Logging in and out with a browser, as Harbor's pages and scripts do it."""

from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from rest_framework.parsers import BaseParser, FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.fields import RequestSerializer, TextField
from core.api.permissions import Access, Public
from core.api.views import ManagementView, OnlyJSON
from core.authn import browser_sessions
from core.authn.api.csrf import COOKIE, add_csrf_token, csrf_token, is_secure, session_secret
from core.authn.types import Credentials
from core.rbac.errors import PermissionDenied

MAXIMUM_TEXT = 1024


class LoginSerializer(RequestSerializer):
    """The form of Harbor's login page."""

    principal = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)
    password = TextField(max_length=MAXIMUM_TEXT, trim_whitespace=False)


class OnlyForms(OnlyJSON):
    """Reads forms and answers in JSON."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        """Return the parser of forms when the body says it is one, else None (415).

        Raises ``BodyEncoded``.
        """
        parser: BaseParser = parsers[0]
        return parser if self.media_type_of(request) == FormParser.media_type else None


class BrowserView(ManagementView):
    """A route for browsers."""

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Leave the challenge out: a browser would ask for a password by itself."""
        final = super().finalize_response(request, response, *args, **kwargs)
        final.headers.pop("WWW-Authenticate", None)
        return final


class LoginView(BrowserView):
    """Begins a session."""

    access: ClassVar[dict[str, Access]] = {"POST": Public("nobody is anybody before they log in")}
    parser_classes = (FormParser,)
    content_negotiation_class = OnlyForms
    # The cookie is a secret, which is never kept.
    takes_keys = False

    @operation("Log in with a browser", tag="sessions", body=LoginSerializer)
    def post(self, request: Request) -> Response:
        """Set the cookie of a session for the user name and password of a form."""
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            # Another site must not log its visitors in here as somebody else.
            raise PermissionDenied("Another site cannot log in here.")
        wanted = self.parse(LoginSerializer)
        credentials = Credentials(wanted["principal"], wanted["password"])
        begun = browser_sessions.log_in(credentials, origin=self.origin)
        former = session_secret(_plain(request))
        if former is not None:
            browser_sessions.log_out(former, actor=self.actor)
        response = self.done()
        response.set_cookie(
            settings.SESSION_COOKIE_NAME,
            begun.secret,
            httponly=True,
            samesite="Lax",
            secure=is_secure(_plain(request)),
            path="/",
        )
        add_csrf_token(response, _plain(request), csrf_token(begun.secret))
        return response


class LogoutView(BrowserView):
    """Ends a session."""

    access: ClassVar[dict[str, Access]] = {"GET": Public("whoever has the cookie may drop it")}

    @operation("Log out with a browser", tag="sessions")
    def get(self, request: Request) -> Response:
        """End the session of the cookie, if it is one."""
        secret = session_secret(_plain(request))
        if secret is not None:
            browser_sessions.log_out(secret, actor=self.actor)
        response = self.done()
        for name in (settings.SESSION_COOKIE_NAME, COOKIE):
            response.delete_cookie(name, path="/")
        return response


def _plain(request: Request) -> HttpRequest:
    plain: HttpRequest = request._request
    return plain
