"""Entity tags of single objects: ``ETag``, ``If-None-Match`` and ``If-Match``.

The tag is a hash of the representation that the caller gets. ``If-Match`` is compared before the
write and again inside its transaction, under a lock of the object, so that of two writers who have
seen the same state only one succeeds, whichever of its paths each of them uses.

Where use alone moves something of what is shown, such as when a robot was last used, the tag has
two parts: a hash of the state without that, and one of it all. So the tag changes with whatever is
shown, and no 304 hides anything; ``If-Match`` looks at the state alone.
"""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

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

_STATE_AND_USE: Final = re.compile(r'"([0-9a-f]{32})\.[0-9a-f]{16}"')


def entity_tag(data: Mapping[str, Any], moved_by_use: AbstractSet[str] = frozenset()) -> str:
    """Return the strong entity tag of a representation, some members of which use moves."""
    whole = _hash(data)
    if not moved_by_use:
        return f'"{whole[:32]}"'
    return f'"{_hash(_state(data, moved_by_use))[:32]}.{whole[:16]}"'


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
    tag = entity_tag(response.data, view.moved_by_use)
    header = view.request.headers.get("If-None-Match", "")
    if header and parse_entity_tags(header).names_weakly(tag):
        response = Response(status=304)
    response["ETag"] = tag
    return response


def ensure_matches(view: "ManagementView", header: str) -> None:
    """Refuse a change of anything but the state that the caller has seen.

    What use has moved since then does not count. ``*`` is any state, also of what has no tag.
    Raises ``PreconditionFailed``, and whatever reading the object raises.
    """
    wanted = parse_entity_tags(header).entries
    tag = _current_tag(_shown(view))
    is_seen = tag is not None and _tag_of_state(tag) in map(_tag_of_state, wanted)
    if ANY not in wanted and not is_seen:
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
    data = response.data
    return entity_tag(data, view.moved_by_use) if isinstance(data, dict) else None


def _hash(data: Mapping[str, Any]) -> str:
    return sha256(JSONRenderer().render(data)).hexdigest()


def _state(data: Mapping[str, Any], moved_by_use: AbstractSet[str]) -> dict[str, Any]:
    """Return the object, and the objects in its lists, without such members."""
    return {
        name: [_rested(each, moved_by_use) for each in value] if isinstance(value, list) else value
        for name, value in _rested(data, moved_by_use).items()
    }


def _rested(data: Any, moved_by_use: AbstractSet[str]) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {name: value for name, value in data.items() if name not in moved_by_use}


def _tag_of_state(tag: str) -> str:
    """Return the tag without its part about use; a weak one, or another text, as it is."""
    both = _STATE_AND_USE.fullmatch(tag)
    return tag if both is None else f'"{both[1]}"'
