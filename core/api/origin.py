"""Where a management request came from."""

import ipaddress
import re
from uuid import uuid4

from django.http import HttpRequest

from core.common.origin import Origin

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,64}")


def origin_of(request: HttpRequest) -> Origin:
    """Return address, user agent and request id.

    The server's edge has already replaced a trusted proxy's address by the client's. A
    client's ``X-Request-Id`` is kept when it is 1 to 64 printable ASCII characters.
    """
    proposed = request.headers.get("X-Request-Id", "")
    return Origin(
        address=_address(request.META.get("REMOTE_ADDR") or ""),
        user_agent=request.headers.get("User-Agent", "")[:512],
        request_id=proposed if _REQUEST_ID.fullmatch(proposed) else uuid4().hex,
    )


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
