"""Members of a project, and custom roles."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest, about_member
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView
from core.members import queries, services
from core.members.api.filters import MEMBER_LISTING, ROLE_LISTING, MemberFilter
from core.members.api.serializers import (
    CustomRoleRequestSerializer,
    CustomRoleUpdateSerializer,
    MemberRequestSerializer,
    MemberSerializer,
    RoleRequestSerializer,
    RoleSerializer,
)
from core.members.errors import SubjectUnknown
from core.projects.api.scope import ProjectView
from core.users.models import Group, User
from core.users.queries import find_group, find_user, get_group, get_user


class MembersView(ProjectView):
    """The users and groups that hold a role in a project."""

    access: ClassVar[dict[str, Access]] = {"GET": "member:list", "POST": "member:create"}

    @operation(
        "List members",
        tag="members",
        answer=MemberSerializer,
        is_list=True,
        has_query=True,
        parameters=[OpenApiParameter("entityname", str, description="Part of the name.")],
    )
    def get(self, request: Request, project: str) -> Response:
        """Return the members by name."""
        return self.page(
            queries.list_members(self.project),
            MemberSerializer,
            MEMBER_LISTING,
            parameters=MemberFilter,
        )

    @operation(
        "Add a member", tag="members", body=MemberRequestSerializer, status=201, errors=(409,)
    )
    def post(self, request: Request, project: str) -> Response:
        """Give a user or a group a role."""
        wanted = self.parse(MemberRequestSerializer)
        user, group = _subject(wanted)
        with about_member("role_id"):
            role = queries.get_role(wanted["role_id"])
        membership = services.add_member(
            self.project,
            user=user,
            group=group,
            role=role,
            actor=self.actor,
        )
        return self.created(membership.pk)


class MemberView(ProjectView):
    """One member."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "member:read",
        "PUT": "member:update",
        "DELETE": "member:delete",
    }

    @operation("Get a member", tag="members", answer=MemberSerializer)
    def get(self, request: Request, project: str, member_id: int) -> Response:
        """Return the member."""
        return Response(MemberSerializer(queries.get_member(self.project, member_id)).data)

    @operation("Change a member's role", tag="members", body=RoleRequestSerializer)
    def put(self, request: Request, project: str, member_id: int) -> Response:
        """Replace the role."""
        membership = queries.get_member(self.project, member_id)
        wanted = self.parse(RoleRequestSerializer)
        with about_member("role_id"):
            role = queries.get_role(wanted["role_id"])
        services.change_role(membership, role, actor=self.actor)
        return self.done()

    @operation("Remove a member", tag="members")
    def delete(self, request: Request, project: str, member_id: int) -> Response:
        """Take the role away."""
        services.remove_member(queries.get_member(self.project, member_id), actor=self.actor)
        return self.done()


class RolesView(ManagementView):
    """Built-in and custom roles."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("project:read", "whoever gives roles must be able to choose one"),
        "POST": "role:create",
    }

    @operation("List roles", tag="roles", answer=RoleSerializer, is_list=True, has_query=True)
    def get(self, request: Request) -> Response:
        """Return the roles by id."""
        return self.page(queries.list_roles(), RoleSerializer, ROLE_LISTING)

    @operation(
        "Create a custom role",
        tag="roles",
        body=CustomRoleRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        """Create the role."""
        role = services.create_role(**self.parse(CustomRoleRequestSerializer), actor=self.actor)
        return self.created(role.pk)


class RoleView(ManagementView):
    """One role."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("project:read", "whoever gives roles must be able to choose one"),
        "PUT": "role:update",
        "DELETE": "role:delete",
    }

    @operation("Get a role", tag="roles", answer=RoleSerializer)
    def get(self, request: Request, role_id: int) -> Response:
        """Return the role."""
        return Response(RoleSerializer(queries.get_role(role_id)).data)

    @operation("Update a custom role", tag="roles", body=CustomRoleUpdateSerializer, errors=(409,))
    def put(self, request: Request, role_id: int) -> Response:
        """Change what the body names."""
        changes = self.parse(CustomRoleUpdateSerializer)
        services.update_role(queries.get_role(role_id), **changes, actor=self.actor)
        return self.done()

    @operation("Delete a custom role", tag="roles", errors=(409,))
    def delete(self, request: Request, role_id: int) -> Response:
        """Delete a role that nobody holds."""
        services.delete_role(queries.get_role(role_id), actor=self.actor)
        return self.done()


def _subject(wanted: dict[str, Any]) -> tuple[User | None, Group | None]:
    """Return the one user or group that a request names.

    Raises ``BadRequest`` unless it is exactly one, and not found errors.
    """
    user, group = wanted.get("member_user") or {}, wanted.get("member_group") or {}
    has_user = bool(user.get("user_id") or user.get("username"))
    has_group = bool(group.get("id") or group.get("group_name"))
    if has_user == has_group:
        raise BadRequest("Name either member_user or member_group.")
    with about_member("member_user" if has_user else "member_group"):
        return (_user(user), None) if has_user else (None, _group(group))


def _user(reference: dict[str, Any]) -> User:
    if reference.get("user_id"):
        return get_user(reference["user_id"])
    found = find_user(reference["username"])
    if found is None:
        raise SubjectUnknown("There is no such user.")
    return found


def _group(reference: dict[str, Any]) -> Group:
    if reference.get("id"):
        return get_group(reference["id"])
    found = find_group(reference["group_name"])
    if found is None:
        raise SubjectUnknown("There is no such group.")
    return found
