"""GET /v2/: whether this is a registry, and whether the caller's credentials hold (end-1)."""

from starlette.responses import Response

from core.users.revocations import find_generations
from registry_api import auth
from registry_api.calls import Call


def get_version(call: Call) -> Response:
    """Answer an empty object to anybody with credentials, the challenge to everybody else.

    podman and skopeo take the challenge from here alone, so callers without credentials get
    it even where everything is public.
    """
    caller = auth.identify(call, is_login=True)
    if caller.token is not None:
        auth.require_unrevoked(call, caller, find_generations(caller.subject).present)
    return Response(b"{}", media_type="application/json")
