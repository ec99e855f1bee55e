"""What a route declares about access, and the check that enforces it.

Every method of every route maps to exactly one of: a permission name (checked against the
view's target before the method runs), ``SignedIn``, ``Filtered``, ``Deferred`` or ``Public``.
The last four carry the reason why the plain form does not fit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from core.rbac.errors import AuthenticationRequired, PermissionDenied
from core.rbac.rules import is_reading, scope_covers
from core.rbac.types import Actor, Target

if TYPE_CHECKING:
    from core.api.views import ManagementView

_NAMED_PROJECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Public:
    """Anyone may call this, even without credentials."""

    public_reason: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Any caller with credentials; ``permission`` is what a limited token must cover."""

    permission: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """Anyone may ask; the answer holds only what the caller may see.

    ``permission`` is what a limited token must cover to ask at all.
    """

    permission: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """The view itself authorizes callers with credentials: the request's data name the target.

    A successful response without such a call is a defect and is answered 500. Callers without
    credentials get to the view only where ``is_open``.
    """

    permission: str
    reason: str
    is_open: bool = False


Access = str | Public | SignedIn | Filtered | Deferred


class DeclaredPermission(BasePermission):
    """Enforces the declaration of the view's method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True or raise what the error renderer knows."""
        enforce(cast("ManagementView", view), request.method or "")
        return True


def enforce(view: "ManagementView", method: str) -> None:
    """Check the access declared for ``method``.

    Raises ``MethodNotAllowed`` for undeclared methods, ``AuthenticationRequired`` and
    ``PermissionDenied``.
    """
    access = view.access_for(method)
    if access is None:
        raise MethodNotAllowed(method)
    if isinstance(access, str):
        view.authorize(access, view.target)
        return
    if isinstance(access, Public):
        return
    if isinstance(access, SignedIn):
        view.authorize_signed_in(access.permission)
        return
    if isinstance(access, Deferred) and not access.is_open:
        ensure_signed_in(view.actor)
    ensure_covered(view.actor, access.permission)


def ensure_signed_in(actor: Actor) -> None:
    """Refuse callers without credentials. Raises ``AuthenticationRequired``."""
    if actor.is_anonymous:
        raise AuthenticationRequired


def ensure_covered(actor: Actor, permission: str) -> None:
    """Refuse tokens whose scopes leave the permission out. Raises ``PermissionDenied``."""
    if not scope_covers(actor.scopes, permission):
        raise PermissionDenied(f"The token's scopes do not cover {permission}.")


def ensure_within_token(actor: Actor, permission: str, target: Target) -> None:
    """Refuse a token what is beyond its own limits, and name these. Raises ``PermissionDenied``.

    They say nothing of the target: what does not exist is in none of the token's projects either.
    """
    ensure_covered(actor, permission)
    projects = actor.scope_projects
    if projects is not None and target.project_name not in projects:
        named = ", ".join(sorted(projects)[:_NAMED_PROJECTS])
        more = ", ..." if len(projects) > _NAMED_PROJECTS else ""
        raise PermissionDenied(f"The token is limited to these projects: {named}{more}.")


def ensure_reaches_account(actor: Actor, permission: str) -> None:
    """Refuse tokens limited to projects where they would change what belongs to no project.

    Raises ``PermissionDenied``.
    """
    if actor.scope_projects is not None and not is_reading(permission):
        raise PermissionDenied("The token is limited to projects and cannot change an account.")
