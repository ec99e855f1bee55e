"""The Content-Range header of upload chunks (OCI distribution-spec, "Pushing a blob in chunks").

The specification writes ``<first>-<last>``, both inclusive, without a unit. Some clients send
the form of RFC 9110, ``bytes <first>-<last>/<total or *>``, which is understood as well.
"""

import re
from typing import Final, NamedTuple

from core.oci.errors import ContentRangeInvalid, excerpt

# Positions fit a signed 64-bit integer, as sizes in descriptors do; 19 digits may exceed it.
_MAX_POSITION: Final = 2**63 - 1
_POSITION: Final = r"([0-9]{1,19})"
_PLAIN: Final = re.compile(rf"{_POSITION}-{_POSITION}")
_WITH_UNIT: Final = re.compile(rf"bytes {_POSITION}-{_POSITION}/(?:\*|{_POSITION})")


class ContentRange(NamedTuple):
    """Positions of a chunk's first and last byte in the blob, both inclusive."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of bytes the chunk must have."""
        return self.end - self.start + 1


def parse_content_range(header: str) -> ContentRange:
    """Return the place of a chunk within its blob. Raises ContentRangeInvalid."""
    text = header.strip(" \t")
    match = _PLAIN.fullmatch(text) or _WITH_UNIT.fullmatch(text)
    if match is None:
        raise ContentRangeInvalid(
            f"The Content-Range header must be <first>-<last>, not {excerpt(text)}."
        )
    start, end = int(match[1]), int(match[2])
    if end < start or end > _MAX_POSITION:
        raise ContentRangeInvalid(
            f"The Content-Range {excerpt(text)} ends before it starts or is out of bounds."
        )
    total = match[3] if match.re is _WITH_UNIT else None
    if total is not None and int(total) <= end:
        raise ContentRangeInvalid(
            f"The Content-Range {excerpt(text)} ends beyond its own total size."
        )
    return ContentRange(start, end)
