"""The check of credentials that the management API uses."""

from core.authn.services import authenticate, authenticate_bearer
from core.authn.types import Credentials
from core.common.origin import Origin
from core.rbac.types import Actor


def check(username: str, secret: str, origin: Origin) -> Actor:
    """Return who the credentials prove; without a user name only a token can.

    Raises ``InvalidCredentials`` and ``LoginThrottled``.
    """
    if not username:
        return authenticate_bearer(secret, origin=origin)
    return authenticate(Credentials(username=username, secret=secret), origin=origin)
