"""Which labels a list shows, and in which order."""

from rest_framework.request import Request

from core.api.errors import BadRequest
from core.api.filtering import ParameterFilter, containing
from core.api.listing import Column, ColumnKind, Listing
from core.labels.rules import GLOBAL_SCOPE, PROJECT_SCOPE

LABEL_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "description": Column("description"),
        "color": Column("color"),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("name",),
)


class LabelFilter(ParameterFilter):
    """Query parameters of the list of labels that filter it."""

    name = containing("name")


def project_of_request(request: Request) -> int | None:
    """Return the project whose labels are asked for, None for global ones.

    ``scope=p`` needs ``project_id``; without a scope a project is enough. Raises ``BadRequest``.
    """
    scope = request.query_params.get("scope", "")
    project = request.query_params.get("project_id", "")
    if scope not in ("", GLOBAL_SCOPE, PROJECT_SCOPE):
        raise BadRequest("scope must be g or p.")
    if project and not (project.isascii() and project.isdigit() and len(project) <= 18):
        raise BadRequest("project_id must be the id of a project.")
    project_id = int(project or 0)
    if scope == PROJECT_SCOPE and not project_id:
        raise BadRequest("scope=p needs project_id.")
    return None if scope == GLOBAL_SCOPE or not project_id else project_id
