"""Rights on one repository, and why somebody may or may not do something."""

import re
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest, UnprocessableEntity
from core.api.parsers import ensure_storable_text
from core.api.permissions import Access, Deferred
from core.api.views import ManagementView
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.queries import find_target
from core.common.clock import now
from core.common.errors import DomainError, ErrorKind
from core.grants import queries, services
from core.grants.api.serializers import (
    ExplanationSerializer,
    GrantRequestSerializer,
    GrantSerializer,
)
from core.grants.errors import GrantUnknown
from core.grants.rules import WHILE_READ_ONLY, changes_content
from core.grants.types import AskedRobot
from core.projects.errors import ProjectUnknown
from core.rbac.permissions import PERMISSIONS
from core.rbac.services import allowed, explain
from core.rbac.types import Actor, ActorKind, Target
from core.system_settings.queries import committed
from core.users.errors import GroupUnknown, UserUnknown
from core.users.models import Group, User
from core.users.queries import find_group, find_user, get_group, get_user

_GRANT_ID = re.compile(r"([ug])-([0-9]{1,18})-([a-z]+)")


class GrantExists(DomainError):
    """The user or group holds the right already."""

    code = "GRANT_EXISTS"
    kind = ErrorKind.CONFLICT
    default_message = "The user or group holds this right already."


class GrantsView(RepositoryScopedView):
    """The rights given on one repository."""

    access: ClassVar[dict[str, Access]] = {"GET": "member:list", "POST": "member:create"}

    @operation("List repository grants", tag="grants", answer=GrantSerializer, is_list=True)
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return users first, then by name and right."""
        return self.page_of(queries.list_repository_grants(self.repository), GrantSerializer)

    @operation(
        "Add a repository grant",
        tag="grants",
        body=GrantRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(self, request: Request, project_name: str, repository: str) -> Response:
        """Give a user or a group a right on this repository only."""
        wanted = self.parse(GrantRequestSerializer)
        user, group = _subject(wanted)
        added = services.grant_repository(
            self.repository,
            user=user,
            group=group,
            permission=wanted["right"],
            actor=self.actor,
        )
        if not added:
            raise GrantExists
        kind, subject = ("u", user) if user is not None else ("g", group)
        return self.created(f"{kind}-{subject.pk if subject else 0}-{wanted['right']}")


class GrantView(RepositoryScopedView):
    """One right of one user or group."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "member:delete"}

    @operation("Remove a repository grant", tag="grants")
    def delete(self, request: Request, project_name: str, repository: str, grant: str) -> Response:
        """Take the right away; registry tokens issued before are withdrawn."""
        match = _GRANT_ID.fullmatch(grant)
        if match is None:
            raise GrantUnknown
        kind, subject_id, right = match[1], int(match[2]), match[3]
        services.revoke_repository_grant(
            self.repository,
            user=get_user(subject_id) if kind == "u" else None,
            group=get_group(subject_id) if kind == "g" else None,
            permission=right,
            actor=self.actor,
        )
        return self.done()


class _Subject(NamedTuple):
    """Whom a question is about, and why that one may do nothing at all, if so."""

    actor: Actor
    refusal: str = ""


class ExplainView(ManagementView):
    """Why an actor may or may not use a permission."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("project:read", "about others only those may ask who manage them")
    }

    @operation(
        "Explain a permission",
        tag="permissions",
        answer=ExplanationSerializer,
        parameters=[
            OpenApiParameter("permission", str, required=True, description="resource:action"),
            OpenApiParameter("project", str, description="Name of the project."),
            OpenApiParameter(
                "repository", str, description="Name within the project; may be URL-encoded twice."
            ),
            OpenApiParameter(
                "user", str, description="Somebody else's user name, or the login name of a robot."
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return the decision for the caller, or for ``user`` when the caller may ask.

        It is about rights: whether a tag is immutable, or a quota is used up, is not asked.
        """
        permission = request.query_params.get("permission", "")
        if permission not in PERMISSIONS:
            raise UnprocessableEntity("permission in query must be a resource:action.")
        target = self._asked_target(request)
        subject = self._subject(request.query_params.get("user", ""), target)
        if target.project_name and target.project_id is None:
            self._ensure_hidden(target)
        refusal = subject.refusal
        if not refusal and changes_content(permission) and committed().read_only:
            refusal = WHILE_READ_ONLY
        explanation = explain(subject.actor, permission, target)
        is_refused = bool(explanation.allowed and refusal)
        answer = {
            "allowed": explanation.allowed and not is_refused,
            "permission": explanation.permission,
            "subject": subject.actor.label,
            "reasons": [refusal] if is_refused else list(explanation.reasons),
        }
        return Response(ExplanationSerializer(answer).data)

    def _asked_target(self, request: Request) -> Target:
        project = request.query_params.get("project", "")
        # Encoded twice in paths, so clients do the same here; no name has a percent sign.
        repository = unquote(request.query_params.get("repository", ""))
        ensure_storable_text(repository, "repository in query")
        if not project:
            if repository:
                raise UnprocessableEntity("repository in query needs project.")
            return Target.of_system()
        name = f"{project}/{repository}"
        lookup = find_target(name, self.actor.subject)
        target = lookup.target(name)
        return target if repository else replace(target, repository_name="")

    def _ensure_hidden(self, missing: Target) -> None:
        """Tell those who see every project that there is none. Raises ``ProjectUnknown``."""
        if allowed(self.actor, "project:read", missing):
            raise ProjectUnknown

    def _subject(self, name: str, target: Target) -> "_Subject":
        """Return whom the question is about; authorized."""
        self.authorize_signed_in("project:read")
        if not name or (name == self.actor.label and self.actor.kind is not ActorKind.ANONYMOUS):
            return _Subject(self.actor)
        self.authorize("user:read" if target.is_system else "member:update", target)
        user = find_user(name)
        if user is not None:
            return _Subject(
                Actor(
                    kind=ActorKind.USER,
                    id=user.pk,
                    label=user.username,
                    origin=self.actor.origin,
                    is_system_admin=user.is_superuser,
                )
            )
        robot = queries.find_robot(name, self.actor.origin, now())
        if robot is None or not self._may_see(robot, target):
            raise UserUnknown
        return _Subject(robot.actor, "" if robot.is_usable else "the robot is disabled or expired")

    def _may_see(self, robot: AskedRobot, target: Target) -> bool:
        """Tell whether the caller sees the robot: in its project, or because of all robots."""
        is_there = not target.is_system and robot.project_name == target.project_name
        return (is_there and allowed(self.actor, "robot:read", target)) or allowed(
            self.actor, "robot:read", Target.of_system()
        )


def _subject(wanted: dict[str, Any]) -> tuple[User | None, Group | None]:
    """Return the one user or group that a request names. Raises ``BadRequest``."""
    named = [key for key in ("user_id", "username", "group_id", "group_name") if key in wanted]
    if len(named) != 1:
        raise BadRequest("Name one of user_id, username, group_id and group_name.")
    value = wanted[named[0]]
    user: User | None = None
    group: Group | None = None
    if named[0] == "user_id":
        user = get_user(value)
    elif named[0] == "group_id":
        group = get_group(value)
    elif named[0] == "username":
        user = find_user(value)
    else:
        group = find_group(value)
    if user is None and group is None:
        raise UserUnknown if named[0] == "username" else GroupUnknown
    return user, group
