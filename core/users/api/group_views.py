"""Groups of people."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest, UnprocessableEntity
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView
from core.users import queries, services
from core.users.api.filters import GROUP_LISTING, GroupFilter
from core.users.api.serializers import (
    GroupRequestSerializer,
    GroupSerializer,
)

_LDAP = 1


class GroupsView(ManagementView):
    """All groups."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "user-group:list",
        "POST": "user-group:create",
    }

    @operation(
        "List groups",
        tag="usergroups",
        answer=GroupSerializer,
        is_list=True,
        has_query=True,
        parameters=[OpenApiParameter("group_name", str, description="Part of the name.")],
    )
    def get(self, request: Request) -> Response:
        """Return groups by name."""
        return self.page(
            queries.list_groups(), GroupSerializer, GROUP_LISTING, parameters=GroupFilter
        )

    @operation(
        "Create a group",
        tag="usergroups",
        body=GroupRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        """Create an empty group."""
        wanted = self.parse(GroupRequestSerializer)
        _ensure_local(wanted)
        group = services.create_group(
            wanted["group_name"], group_type=wanted.get("group_type") or 2, actor=self.actor
        )
        return self.created(group.pk)


class GroupSearchView(ManagementView):
    """Finding groups by a part of their name, to make them members."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user-group:list", "project administrators look for new members")
    }

    @operation(
        "Search groups",
        tag="usergroups",
        answer=GroupSerializer,
        is_list=True,
        parameters=[OpenApiParameter("groupname", str, required=True)],
    )
    def get(self, request: Request) -> Response:
        """Return the groups whose name contains the text."""
        if not request.query_params.get("groupname"):
            raise UnprocessableEntity("groupname in query is required.")
        return self.page(queries.list_groups(), GroupSerializer, parameters=GroupFilter)


class GroupView(ManagementView):
    """One group."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "user-group:read",
        "PUT": "user-group:update",
        "DELETE": "user-group:delete",
    }

    @operation("Get a group", tag="usergroups", answer=GroupSerializer)
    def get(self, request: Request, group_id: int) -> Response:
        """Return the group."""
        return Response(GroupSerializer(queries.get_group(group_id)).data)

    @operation("Rename a group", tag="usergroups", body=GroupRequestSerializer, errors=(409,))
    def put(self, request: Request, group_id: int) -> Response:
        """Give the group another name; nothing else of it can change."""
        group = queries.get_group(group_id)
        wanted = self.parse(GroupRequestSerializer)
        services.rename_group(group, wanted["group_name"], actor=self.actor)
        return self.done()

    @operation("Delete a group", tag="usergroups")
    def delete(self, request: Request, group_id: int) -> Response:
        """Delete the group; its users lose what it gave them."""
        services.delete_group(queries.get_group(group_id), actor=self.actor)
        return self.done()


def _ensure_local(wanted: dict[str, Any]) -> None:
    if wanted.get("group_type") == _LDAP or wanted.get("ldap_group_dn"):
        raise BadRequest("group_type 1 and ldap_group_dn need LDAP, which is not configured.")
