"""Who is in a group, and so holds what the group was given."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.api.views import ManagementView
from core.grants import services
from core.users import queries
from core.users.api.filters import USER_LISTING
from core.users.api.serializers import GroupUserSerializer, UserSearchSerializer
from core.users.services import remove_user_from_group


class GroupUsersView(ManagementView):
    """Who is in a group; Harbor leaves that to directories."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "user-group:read",
        "POST": "user-group:update",
    }

    @operation(
        "List the users of a group",
        tag="usergroups",
        answer=UserSearchSerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, group_id: int) -> Response:
        """Return the users by name."""
        users = queries.list_group_users(queries.get_group(group_id))
        return self.page(users, UserSearchSerializer, USER_LISTING)

    @operation("Put a user into a group", tag="usergroups", body=GroupUserSerializer, status=201)
    def post(self, request: Request, group_id: int) -> Response:
        """Add the user, by somebody who holds all that the group gives; once is enough."""
        group = queries.get_group(group_id)
        user = queries.get_user(self.parse(GroupUserSerializer)["user_id"])
        services.add_user_to_group(user, group, actor=self.actor)
        return self.created(user.pk)


class GroupUserView(ManagementView):
    """One user in a group."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "user-group:update"}

    @operation("Take a user out of a group", tag="usergroups")
    def delete(self, request: Request, group_id: int, user_id: int) -> Response:
        """Remove the user; nothing happens when they are not in there."""
        group, user = queries.get_group(group_id), queries.get_user(user_id)
        remove_user_from_group(user, group, actor=self.actor)
        return self.done()
