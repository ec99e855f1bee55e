"""The challenge that tells a client where to fetch a token, and for what.

One header only, and always the full scope the request needs: docker, containerd, podman,
crane and oras each read it a little differently, and each accepts this form.
"""

from typing import Final

from core.oci.errors import NameInvalid
from core.oci.reference import parse_repository_name
from registry_api.calls import Call
from registry_api.errors import RegistryError
from registry_api.routing import Endpoint

PULL: Final = "pull"
PUSH: Final = "push"
DELETE: Final = "delete"

INSUFFICIENT_SCOPE: Final = "insufficient_scope"
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105  # an error code

_ASKED_FOR: Final = {PULL: "pull", PUSH: "pull,push", DELETE: "delete"}


def challenge(call: Call, *, error: str | None = None, action: str | None = None) -> RegistryError:
    """Return the 401 with its challenge.

    ``error`` is one of the codes of RFC 6750; ``action`` what was attempted, by default what
    the method stands for.
    """
    external = call.external
    parts = [f'realm="{external.url}/service/token"', f'service="{external.service}"']
    scope = _scope_of(call, action)
    if scope:
        parts.append(f'scope="{scope}"')
    if error:
        parts.append(f'error="{error}"')
    return RegistryError("UNAUTHORIZED", headers={"WWW-Authenticate": f"Bearer {','.join(parts)}"})


def _scope_of(call: Call, action: str | None) -> str:
    """Return the scope to ask for; nothing for a name that is none, which is refused later."""
    if call.endpoint is Endpoint.CATALOG:
        return "registry:catalog:*"
    if call.endpoint is Endpoint.VERSION:
        return ""
    name = _valid_name(call.location.name)
    if name is None:
        return ""
    scope = f"repository:{name}:{_ASKED_FOR[action or action_of(call)]}"
    if call.endpoint is Endpoint.UPLOADS:
        source = _mount_source(call)
        if source is not None and source != name:
            scope += f" repository:{source}:pull"
    return scope


def _mount_source(call: Call) -> str | None:
    """Return the repository to mount from; None too for a query that is refused later."""
    try:
        return _valid_name(call.parameter("from") or "")
    except RegistryError:
        return None


def action_of(call: Call) -> str:
    """Return the action that the request's method stands for."""
    if call.method in ("GET", "HEAD") and call.endpoint is not Endpoint.UPLOAD:
        return PULL
    if call.method == "DELETE" and call.endpoint is not Endpoint.UPLOAD:
        return DELETE
    return PUSH


def _valid_name(text: str) -> str | None:
    try:
        return str(parse_repository_name(text))
    except NameInvalid:
        return None
