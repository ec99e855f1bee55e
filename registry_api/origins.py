"""Where a request came from and how the registry is called from there.

What trusted proxies report has been put in place before the request arrives here (address
and scheme of the scope); headers that anybody could send are not looked at again.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from starlette.types import Scope

from core.common.origin import Origin
from registry_api.headers import RequestHeaders

_HOST: Final = re.compile(
    r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?"
)
_MAX_HOST_CHARACTERS: Final = 260
_MAX_USER_AGENT_CHARACTERS: Final = 512


class ExternalAddress(NamedTuple):
    """Scheme and host under which the client reaches the registry."""

    scheme: str
    host: str

    @property
    def url(self) -> str:
        """The address without a trailing slash."""
        return f"{self.scheme}://{self.host}"

    @property
    def service(self) -> str:
        """What registry tokens name as their audience."""
        return self.host


def external_address(scope: Scope, headers: RequestHeaders) -> ExternalAddress:
    """Return the configured external address, or the one this request was sent to."""
    configured: str | None = settings.ROADSTEAD.server.external_url
    if configured:
        parts = urlsplit(configured)
        return ExternalAddress(parts.scheme, parts.netloc)
    host = headers.get("host", "")
    if not _is_host(host):
        server = scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else "localhost"
    return ExternalAddress(scope.get("scheme") or "http", host)


def _is_host(text: str) -> bool:
    return len(text) <= _MAX_HOST_CHARACTERS and _has_form_of_host(text)


@lru_cache(maxsize=256)
def _has_form_of_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def origin_of(scope: Scope, headers: RequestHeaders, request_id: str) -> Origin:
    """Return address, user agent and request id for audit records and throttling."""
    client = scope.get("client")
    return Origin(
        address=_ip_address(client[0]) if client else None,
        user_agent=headers.get("user-agent", "")[:_MAX_USER_AGENT_CHARACTERS],
        request_id=request_id,
    )


@lru_cache(maxsize=1024)
def _ip_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
