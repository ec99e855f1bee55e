"""Conditional requests on content that is named by its digest (RFC 9110, section 13)."""

from core.artifacts.errors import PreconditionFailed
from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag, parse_entity_tags
from registry_api.headers import RequestHeaders


def is_not_modified(headers: RequestHeaders, digest: Digest) -> bool:
    """Tell whether If-None-Match names what the client would get.

    Raises EntityTagsInvalid, and PreconditionFailed when If-Match names something else.
    """
    wanted, known = headers.list("if-match"), headers.list("if-none-match")
    if wanted is not None and not parse_entity_tags(wanted).names(entity_tag(digest)):
        raise PreconditionFailed
    return known is not None and parse_entity_tags(known).names_weakly(entity_tag(digest))


def range_applies(headers: RequestHeaders, digest: Digest) -> bool:
    """Tell whether If-Range lets a Range header count.

    A date never does: content without a Last-Modified has none to compare it with.
    """
    condition = headers.get("if-range")
    return condition is None or condition.strip() == entity_tag(digest)
