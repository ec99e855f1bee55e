"""Which endpoint a path means, read from the right.

Every component of a repository's name may be ``blobs``, ``manifests``, ``uploads``, ``tags``
or ``referrers``, so only the end of a path decides. Segments are decoded one by one: an
encoded slash never becomes a separator, and what does not decode stays encoded, which no
grammar of names, tags, digests or upload ids accepts.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes


class Endpoint(StrEnum):
    """The resources of the distribution specification and of the token service."""

    VERSION = "version"
    CATALOG = "catalog"
    TAGS = "tags"
    REFERRERS = "referrers"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "uploads"
    UPLOAD = "upload"
    TOKEN = "token"  # noqa: S105  # an endpoint
    KEYS = "keys"
    UNKNOWN = "unknown"


class Location(NamedTuple):
    """An endpoint with the texts, unchecked, that name its repository and its item."""

    endpoint: Endpoint
    name: str = ""
    item: str = ""


MAX_PATH_BYTES: Final = 4_096
_MAX_REMEMBERED_PATH_BYTES: Final = 512

# The segment before the last one, where the last one is an item.
_KINDS: Final = {
    b"manifests": Endpoint.MANIFEST,
    b"blobs": Endpoint.BLOB,
    b"referrers": Endpoint.REFERRERS,
}

_FIXED: Final = {
    b"/v2": Location(Endpoint.VERSION),
    b"/v2/": Location(Endpoint.VERSION),
    b"/v2/_catalog": Location(Endpoint.CATALOG),
    b"/service/token": Location(Endpoint.TOKEN),
    b"/service/token/": Location(Endpoint.TOKEN),
    b"/service/token/jwks": Location(Endpoint.KEYS),
}


def locate(path: bytes) -> Location:
    """Return what the raw path below the host means."""
    return _located(path) if len(path) <= _MAX_REMEMBERED_PATH_BYTES else _located.__wrapped__(path)


@lru_cache(maxsize=4_096)
def _located(path: bytes) -> Location:
    """Clients ask for the same all day, most of it three times in a row."""
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    if not path.startswith(b"/v2/"):
        return Location(Endpoint.UNKNOWN)
    parent, _, item = path[len(b"/v2/") :].rpartition(b"/")
    name, _, kind = parent.rpartition(b"/")
    endpoint = _KINDS.get(kind, Endpoint.UNKNOWN)
    if kind == b"tags" and item == b"list":
        endpoint, item = Endpoint.TAGS, b""
    elif kind == b"blobs" and item == b"uploads":
        endpoint, item = Endpoint.UPLOADS, b""
    elif kind == b"uploads" and name.endswith(b"/blobs"):
        endpoint = Endpoint.UPLOAD if item else Endpoint.UPLOADS
        name = name.removesuffix(b"/blobs")
    elif not item:
        endpoint = Endpoint.UNKNOWN
    if endpoint is Endpoint.UNKNOWN or not name:
        return Location(Endpoint.UNKNOWN)
    return Location(endpoint, _decode_all(name), _decode(item))


def raw_path(scope_path: str, scope_raw_path: bytes | None) -> bytes:
    """Return the path as the client sent it, without the query."""
    if scope_raw_path:
        return scope_raw_path.partition(b"?")[0]
    return quote(scope_path).encode()


def _decode_all(name: bytes) -> str:
    if name.isascii() and b"%" not in name:
        return name.decode("ascii")
    return "/".join(_decode(segment) for segment in name.split(b"/"))


def _decode(segment: bytes) -> str:
    decoded = unquote_to_bytes(segment) if b"%" in segment else segment
    if b"/" in decoded or not decoded.isascii():
        return quote(segment)
    return decoded.decode("ascii")
