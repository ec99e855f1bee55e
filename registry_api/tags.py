"""GET /v2/<name>/tags/list (end-8)."""

import json
from typing import Final

from starlette.responses import Response

from core.artifacts import queries
from registry_api import auth
from registry_api.calls import Call
from registry_api.challenges import PULL
from registry_api.errors import RegistryError
from registry_api.paging import MAX_PAGE, link_to_next, page_of

_DEFAULT_PAGE: Final = MAX_PAGE


def list_tags(call: Call) -> Response:
    """Answer one page of the repository's tags in byte order."""
    admission = auth.admit(call, PULL)
    page = page_of(call, default=_DEFAULT_PAGE)
    if admission.repository_id is None:
        raise RegistryError("NAME_UNKNOWN")
    name = str(admission.name)
    tags: list[str] = []
    headers: dict[str, str] = {}
    if page.limit:
        # One more than asked for tells whether there is a next page.
        found = queries.list_tags(admission.repository_id, page.after, page.limit + 1)
        tags = list(found[: page.limit])
        if len(found) > page.limit:
            headers = link_to_next(f"/v2/{name}/tags/list", {"n": page.limit, "last": tags[-1]})
    body = json.dumps({"name": name, "tags": tags}, separators=(",", ":"))
    return Response(body, headers=headers, media_type="application/json")
