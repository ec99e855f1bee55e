"""GET /v2/_catalog: the repositories that the caller may pull from.

Not part of the specification, but known to every client. System administrators see all;
everybody else what they can read, and anonymous callers what is public.
"""

import json
from typing import Final

from starlette.responses import Response

from core.artifacts import queries
from core.authn.errors import InvalidCredentials
from core.authn.services import load_actor
from core.rbac.types import Actor
from registry_api import auth
from registry_api.auth import Caller
from registry_api.calls import Call
from registry_api.challenges import INVALID_TOKEN, challenge
from registry_api.paging import link_to_next, page_of
from registry_api.visibility import readable_repositories

_DEFAULT_PAGE: Final = 100


def list_repositories(call: Call) -> Response:
    """Answer one page of full repository names in byte order."""
    caller = auth.identify(call)
    page = page_of(call, default=_DEFAULT_PAGE)
    visible = readable_repositories(_with_rights(call, caller))
    # One more than asked for tells whether there is a next page.
    found = queries.list_repositories(visible, caller.subject, page.after, page.limit + 1)
    auth.require_unrevoked(call, caller, found.generation)
    names = found.names[: page.limit]
    headers: dict[str, str] = {}
    if names and len(found.names) > page.limit:
        headers = link_to_next("/v2/_catalog", {"n": page.limit, "last": names[-1]})
    body = json.dumps({"repositories": names}, separators=(",", ":"))
    return Response(body, headers=headers, media_type="application/json")


def _with_rights(call: Call, caller: Caller) -> Actor:
    """Return the caller with its rights of this moment, which a token does not carry."""
    token = caller.token
    if token is None:
        return caller.actor
    try:
        return load_actor(token, origin=call.origin)
    except InvalidCredentials as error:
        raise challenge(call, error=INVALID_TOKEN) from error
