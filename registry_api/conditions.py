"""Conditional requests on content that is named by its digest (RFC 9110, section 13)."""

from starlette.datastructures import Headers

from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag, parse_entity_tags


def header_list(headers: Headers, name: str) -> str | None:
    """Return a header that may be sent several times as the one list that it means."""
    values = headers.getlist(name)
    return ",".join(values) if values else None


def is_not_modified(headers: Headers, digest: Digest) -> bool:
    """Tell whether If-None-Match names what the client would get. Raises EntityTagsInvalid."""
    listed = header_list(headers, "if-none-match")
    return listed is not None and parse_entity_tags(listed).names(digest)


def range_applies(headers: Headers, digest: Digest) -> bool:
    """Tell whether If-Range lets a Range header count.

    A date never does: content without a Last-Modified has none to compare it with.
    """
    condition = headers.get("if-range")
    return condition is None or condition.strip() == entity_tag(digest)
