"""People."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import PreconditionFailed, UnprocessableEntity
from core.api.permissions import Access, Deferred, SignedIn
from core.api.views import ManagementView
from core.rbac.errors import PermissionDenied
from core.rbac.types import ActorKind, Target
from core.users import queries, services
from core.users.api.filters import USER_LISTING
from core.users.api.serializers import (
    SystemAdminSerializer,
    UserCreationSerializer,
    UserProfileSerializer,
    UserSearchSerializer,
    UserSerializer,
)
from core.users.models import User


class UsersView(ManagementView):
    """All people."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "user:list",
        "POST": Deferred(
            "user:create", "visitors may register where self_registration is on", is_open=True
        ),
    }

    @operation("List users", tag="users", answer=UserSerializer, is_list=True, has_query=True)
    def get(self, request: Request) -> Response:
        """Return people by name."""
        return self.page(queries.list_users(), UserSerializer, USER_LISTING)

    @operation("Create a user", tag="users", body=UserCreationSerializer, status=201, errors=(409,))
    def post(self, request: Request) -> Response:
        """Create a person who logs in with the password; visitors create their own account."""
        if self.actor.is_anonymous:
            # Said before the body is looked at, as to everybody else who may not.
            services.ensure_registration_open()
            self.authorize_visitor()
        else:
            self.authorize("user:create", self.target)
        create = services.register_user if self.actor.is_anonymous else services.create_user
        wanted = self.parse(UserCreationSerializer)
        user = create(
            wanted["username"],
            password=wanted["password"],
            email=wanted.get("email", ""),
            real_name=wanted.get("realname", ""),
            comment=wanted.get("comment", ""),
            actor=self.actor,
        )
        return self.created(user.pk)


class CurrentUserView(ManagementView):
    """The caller."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:read", "everyone may know who they are")
    }

    @operation("Get the current user", tag="users", answer=UserSerializer, errors=(412,))
    def get(self, request: Request) -> Response:
        """Return the caller; robots are no users, which Harbor's clients know as 412."""
        if self.actor.kind is not ActorKind.USER or self.actor.id is None:
            raise PreconditionFailed("The caller is not a user.")
        return Response(UserSerializer(queries.get_user(self.actor.id)).data)


class UserSearchView(ManagementView):
    """Finding people by a part of their name, to make them members."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:list", "project administrators look for new members")
    }

    @operation(
        "Search users",
        tag="users",
        answer=UserSearchSerializer,
        is_list=True,
        parameters=[OpenApiParameter("username", str, required=True)],
    )
    def get(self, request: Request) -> Response:
        """Return id and name of the people whose name contains the text."""
        text = request.query_params.get("username", "")
        if not text:
            raise UnprocessableEntity("username in query is required.")
        return self.page(queries.list_users(username_contains=text), UserSearchSerializer)


class SubjectView(ManagementView):
    """A resource of one person, for that person or for whoever administers people."""

    def find_user(self, permission: str) -> User:
        """Authorize and return the person that the path names. Raises ``UserUnknown``."""
        if self.is_own:
            self.authorize_signed_in(permission)
        else:
            self.authorize(permission, Target.of_system())
        return queries.get_user(self.kwargs["user_id"])

    @property
    def is_own(self) -> bool:
        """Whether the path names the caller."""
        return bool(self.actor.kind is ActorKind.USER and self.actor.id == self.kwargs["user_id"])


class UserView(SubjectView):
    """One person."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("user:read", "people may read their own profile"),
        "PUT": Deferred("user:update", "people may change their own profile"),
        "DELETE": "user:delete",
    }

    @operation("Get a user", tag="users", answer=UserSerializer)
    def get(self, request: Request, user_id: int) -> Response:
        """Return the person."""
        return Response(UserSerializer(self.find_user("user:read")).data)

    @operation("Update a user's profile", tag="users", body=UserProfileSerializer, errors=(409,))
    def put(self, request: Request, user_id: int) -> Response:
        """Change what the body names."""
        user = self.find_user("user:update")
        wanted = self.parse(UserProfileSerializer)
        services.update_profile(
            user,
            email=wanted.get("email"),
            real_name=wanted.get("realname"),
            comment=wanted.get("comment"),
            actor=self.actor,
        )
        return self.done()

    @operation("Delete a user", tag="users", errors=(412,))
    def delete(self, request: Request, user_id: int) -> Response:
        """Delete the person."""
        if self.is_own:
            raise PermissionDenied("Nobody can delete themselves.")
        services.delete_user(queries.get_user(user_id), actor=self.actor)
        return self.done()


class SystemAdminView(ManagementView):
    """Whether a person administers the system."""

    access: ClassVar[dict[str, Access]] = {"PUT": "user:update"}

    @operation(
        "Change who administers the system",
        tag="users",
        body=SystemAdminSerializer,
        errors=(412,),
    )
    def put(self, request: Request, user_id: int) -> Response:
        """Promote or demote the person; only system administrators may, with their password."""
        flag = self.parse(SystemAdminSerializer)["sysadmin_flag"]
        services.set_system_admin(queries.get_user(user_id), flag, actor=self.actor)
        return self.done()
