"""Entity tags of single objects: ``ETag``, ``If-None-Match`` and ``If-Match``.

The tag is a hash of the representation that the caller gets. ``If-Match`` is compared before the
write and again inside its transaction, under a lock of the object, so that of two writers who have
seen the same state only one succeeds, whichever of its paths each of them uses.
"""

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.db import connection
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from core.api.answered import Answered
from core.api.errors import PreconditionFailed
from core.api.permissions import enforce
from core.oci.entity_tags import ANY, parse_entity_tags

if TYPE_CHECKING:
    from core.api.views import ManagementView

CHANGING = frozenset({"PUT", "PATCH", "DELETE"})


def entity_tag(data: Any) -> str:
    """Return the strong entity tag of a representation."""
    return f'"{sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def is_single(view: "ManagementView") -> bool:
    """Tell whether the view shows one object that can be changed."""
    return "GET" in view.access and not CHANGING.isdisjoint(view.access)


def is_evaluated(view: "ManagementView", method: str) -> bool:
    """Tell whether ``If-Match`` counts for the method of the view."""
    return method in CHANGING or (method == "POST" and view.changes is not None)


def conditional(view: "ManagementView", response: Response) -> Response:
    """Give a representation its tag; 304 without a body when the caller has it already."""
    if response.status_code != 200 or not isinstance(getattr(response, "data", None), dict):
        return response
    tag = entity_tag(response.data)
    header = view.request.headers.get("If-None-Match", "")
    if header and parse_entity_tags(header).names_weakly(tag):
        response = Response(status=304)
    response["ETag"] = tag
    return response


def ensure_matches(view: "ManagementView", header: str) -> None:
    """Refuse a change of anything but the state that the caller has seen.

    ``*`` is any state, also of what has no tag. Raises ``PreconditionFailed``, and whatever
    reading the object raises.
    """
    wanted = parse_entity_tags(header)
    tag = _current_tag(_shown(view))
    if ANY not in wanted.entries and (tag is None or not wanted.names(tag)):
        raise PreconditionFailed("If-Match: the object has changed, or has no entity tag.")


def ensure_matches_locked(view: "ManagementView", header: str) -> None:
    """Do the same in the transaction of the change, one at a time for each object."""
    shown = view if view.changes is None else _shown(view)
    name = json.dumps([type(shown).__module__, type(shown).__name__, shown.named], sort_keys=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
    shown.hold()
    ensure_matches(view, header)


def _shown(view: "ManagementView") -> "ManagementView":
    """Return a view of the object that the request changes; one of its own has nothing cached."""
    fresh = (view.changes or type(view))()
    fresh.setup(view.request._request, *view.args, **view.kwargs)
    fresh.request = view.request
    return fresh


def _current_tag(view: "ManagementView") -> str | None:
    """Return the tag of what GET would answer now, None where there is none."""
    if "GET" not in view.access:
        return None
    enforce(view, "GET")
    try:
        response = view.get(view.request, *view.args, **view.kwargs)  # type: ignore[attr-defined]
    except Answered:
        # A list that the request would rather have as a file.
        return None
    return entity_tag(response.data) if isinstance(response.data, dict) else None
