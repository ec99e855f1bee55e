"""Conditional requests on content that is named by its digest (RFC 9110, section 13)."""

from starlette.datastructures import Headers

from core.oci.digest import Digest


def entity_tag(digest: Digest) -> str:
    """Return the strong entity tag of immutable content."""
    return f'"{digest}"'


def is_not_modified(headers: Headers, digest: Digest) -> bool:
    """Tell whether If-None-Match names what the client would get."""
    values = headers.getlist("if-none-match")
    if not values:
        return False
    tag = entity_tag(digest)
    listed = [entry.strip() for value in values for entry in value.split(",")]
    return any(entry == "*" or entry.removeprefix("W/") == tag for entry in listed)


def range_applies(headers: Headers, digest: Digest) -> bool:
    """Tell whether If-Range lets a Range header count.

    A date never does: content without a Last-Modified has none to compare it with.
    """
    condition = headers.get("if-range")
    return condition is None or condition.strip() == entity_tag(digest)
