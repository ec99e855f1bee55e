"""Where a request came from, carried by its actor into audit records."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Origin:
    """Address, user agent and request id of the caller.

    ``address`` is the client's IP address as text, or None when the caller is not a network
    client. ``user_agent`` is empty when the client sent none.
    """

    address: str | None
    user_agent: str
    request_id: str

    @classmethod
    def internal(cls) -> "Origin":
        """Origin of commands and jobs, which no network client asked for."""
        return cls(address=None, user_agent="roadstead", request_id=uuid4().hex)


@lru_cache(maxsize=1024)
def throttle_address(address: str | None) -> str:
    """Return what stands for the address in limits: for IPv6 the network of one customer."""
    parsed = parsed_address(address or "")
    if parsed is None:
        return (address or "")[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def parsed_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, an IPv4 one also where a socket wraps it in IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
