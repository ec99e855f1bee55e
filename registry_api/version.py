"""GET /v2/: whether this is a registry, and whether the caller's credentials hold (end-1)."""

from starlette.responses import Response

from core.artifacts import queries
from registry_api import auth
from registry_api.calls import Call
from registry_api.challenges import INVALID_TOKEN, challenge


def get_version(call: Call) -> Response:
    """Answer an empty object to anybody with credentials, the challenge to everybody else.

    podman and skopeo take the challenge from here alone, so callers without credentials get
    it even where everything is public.
    """
    caller = auth.identify(call, is_login=True)
    if caller.token is not None:
        lookup = queries.find_target("", caller.subject)
        if auth.is_revoked(caller.token, lookup):
            raise challenge(call, error=INVALID_TOKEN)
    return Response(b"{}", media_type="application/json")
