"""Sessions in browsers: one's own, and for system administrators those of anybody."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access, Deferred, SignedIn
from core.api.views import ManagementView
from core.authn import browser_sessions, queries
from core.authn.api.filters import SESSION_LISTING
from core.authn.api.serializers import BrowserSessionSerializer
from core.authn.api.views import OwnView
from core.rbac.errors import PermissionDenied
from core.system_settings.queries import current as current_settings
from core.users.api.views import SubjectView
from core.users.models import User

_OWN = "everyone sees and ends their own sessions"
_SUBJECT = f"{_OWN}, system administrators those of everybody"


class OwnSessionsView(OwnView):
    """All sessions of the caller."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:read", _OWN),
        "DELETE": SignedIn("user:update", _OWN),
    }
    exact = frozenset({"DELETE"})

    @operation(
        "List own sessions",
        tag="sessions",
        answer=BrowserSessionSerializer,
        is_list=True,
        has_query=True,
        errors=(412,),
    )
    def get(self, request: Request) -> Response:
        """Return the newest first; ``current`` marks the one that asks."""
        return _page(self, self.user)

    @operation("End all own sessions", tag="sessions", errors=(412,))
    def delete(self, request: Request) -> Response:
        """End them at once, the one that asks too."""
        browser_sessions.end_sessions(self.user, actor=self.actor)
        return self.done()


class OwnSessionView(OwnView):
    """One session of the caller."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:read", _OWN),
        "DELETE": SignedIn("user:update", _OWN),
    }
    moved_by_use = frozenset({"address", "last_seen_at", "expires_at"})
    exact = frozenset({"DELETE"})

    @operation("Get an own session", tag="sessions", answer=BrowserSessionSerializer, errors=(412,))
    def get(self, request: Request, session_id: int) -> Response:
        """Return the session."""
        return _shown(self, self.user, session_id)

    @operation("End an own session", tag="sessions", errors=(412,))
    def delete(self, request: Request, session_id: int) -> Response:
        """End it at once."""
        browser_sessions.end_session(self.user, session_id, actor=self.actor)
        return self.done()


class SubjectSessionView(SubjectView):
    """Sessions of one person, for that person and for system administrators."""

    def find_user(self, permission: str) -> User:
        """Authorize and return the person that the path names. Raises ``UserUnknown``.

        Raises ``PermissionDenied`` for robots, whose permissions are about accounts: a session
        tells from where and with what somebody works.
        """
        user = super().find_user(permission)
        if not self.is_own and not self.actor.is_system_admin:
            raise PermissionDenied("Only system administrators see and end sessions of others.")
        return user


class SessionsView(SubjectSessionView):
    """All sessions of a user."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("user:read", _SUBJECT),
        "DELETE": Deferred("user:update", _SUBJECT),
    }
    exact = frozenset({"DELETE"})

    @operation(
        "List a user's sessions",
        tag="sessions",
        answer=BrowserSessionSerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, user_id: int) -> Response:
        """Return the newest first."""
        return _page(self, self.find_user("user:read"))

    @operation("End all sessions of a user", tag="sessions")
    def delete(self, request: Request, user_id: int) -> Response:
        """End them at once."""
        user = self.find_user("user:update")
        browser_sessions.end_sessions(user, actor=self.actor)
        return self.done()


class SessionView(SubjectSessionView):
    """One session of a user."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("user:read", _SUBJECT),
        "DELETE": Deferred("user:update", _SUBJECT),
    }
    moved_by_use = frozenset({"address", "last_seen_at", "expires_at"})
    exact = frozenset({"DELETE"})

    @operation("Get a user's session", tag="sessions", answer=BrowserSessionSerializer)
    def get(self, request: Request, user_id: int, session_id: int) -> Response:
        """Return the session."""
        return _shown(self, self.find_user("user:read"), session_id)

    @operation("End a user's session", tag="sessions")
    def delete(self, request: Request, user_id: int, session_id: int) -> Response:
        """End it at once."""
        user = self.find_user("user:update")
        browser_sessions.end_session(user, session_id, actor=self.actor)
        return self.done()


def _page(view: ManagementView, user: User) -> Response:
    return view.page(
        queries.list_browser_sessions(user),
        BrowserSessionSerializer,
        SESSION_LISTING,
        lambda _sessions: _context(view),
    )


def _shown(view: ManagementView, user: User, session_id: int) -> Response:
    session = queries.get_browser_session(user, session_id)
    return Response(BrowserSessionSerializer(session, context=_context(view)).data)


def _context(view: ManagementView) -> dict[str, object]:
    timeout_minutes = current_settings().session_timeout
    return {"current": view.request.auth, "timeout_minutes": timeout_minutes}
