"""Who the client is when a proxy stands in between.

X-Forwarded-For and X-Forwarded-Proto are believed only from the networks in
ROADSTEAD_TRUSTED_PROXIES; from anybody else they are ignored. The client is the
last address in the list that is not itself a trusted proxy: whatever stands before
it was written by someone who is not trusted.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from core.config.reader import Network

Headers = Iterable[tuple[bytes, bytes]]


def client_and_scheme(
    peer: str | None, scheme: str, headers: Headers, trusted: Sequence[Network]
) -> tuple[str | None, str]:
    """Return the address of the client and the scheme it used.

    `peer` is the address at the other end of the connection.
    """
    if peer is None or not is_trusted(peer, trusted):
        return peer, scheme
    hops: list[str] = []
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"x-forwarded-for":
            hops += [hop.strip() for hop in value.decode("latin-1").split(",")]
        elif lowered == b"x-forwarded-proto":
            claimed = value.decode("latin-1").strip().lower()
            scheme = claimed if claimed in ("http", "https") else scheme
    client = peer
    for hop in reversed(hops):
        if not _is_address(hop):
            break
        client = hop
        if not is_trusted(hop, trusted):
            break
    return client, scheme


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Say whether `address` lies in one of the `trusted` networks."""
    if not trusted or not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == network.version and parsed in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
