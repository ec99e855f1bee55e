"""Conditional requests on content that is named by its digest (RFC 9110, section 13)."""

from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag, parse_entity_tags
from registry_api.headers import RequestHeaders


def is_not_modified(headers: RequestHeaders, digest: Digest) -> bool:
    """Tell whether If-None-Match names what the client would get. Raises EntityTagsInvalid."""
    listed = headers.list("if-none-match")
    return listed is not None and parse_entity_tags(listed).names(digest)


def range_applies(headers: RequestHeaders, digest: Digest) -> bool:
    """Tell whether If-Range lets a Range header count.

    A date never does: content without a Last-Modified has none to compare it with.
    """
    condition = headers.get("if-range")
    return condition is None or condition.strip() == entity_tag(digest)
