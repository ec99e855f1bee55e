"""The Range header of blob requests (RFC 9110, section 14).

Pure parsing: what to send for a header and a blob size, without reading anything.
"""

import re
from typing import Final, NamedTuple

from core.oci.errors import RangeNotSatisfiable

MAX_RANGES: Final = 32
# A header with MAX_RANGES ranges of two 19-digit positions each fits well below this.
MAX_HEADER_CHARACTERS: Final = 2_048

_UNIT_AND_RANGES: Final = re.compile(r"[ \t]*bytes=(.*)", re.IGNORECASE | re.DOTALL)
_RANGE: Final = re.compile(r"([0-9]*)-([0-9]*)")


class ByteRange(NamedTuple):
    """Positions of the first and the last byte, both inclusive."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start + 1


def parse_range(header: str | None, size: int) -> tuple[ByteRange, ...] | None:
    """Return the parts of a blob of ``size`` bytes to send, or None to send it whole.

    None means that the header is absent or to be ignored: another unit, broken syntax, more
    than 32 ranges, or an empty blob, whose whole is the only part it has. The ranges lie
    inside the blob and do not overlap (overlapping ones are joined, RFC 9110, 15.3.7.2), so
    the answer is never longer than the blob. Raises RangeNotSatisfiable when every range
    lies beyond the end, or one ends before it starts (the RFC lets a server refuse those).
    """
    specifications = _split(header)
    if not specifications or size == 0:
        return None
    ranges = []
    for specification in specifications:
        match = _RANGE.fullmatch(specification)
        if match is None or specification == "-":
            return None
        selected = _select(match[1], match[2], size)
        if selected is not None:
            ranges.append(selected)
    if not ranges:
        raise RangeNotSatisfiable(size)
    return _without_overlaps(ranges)


def _split(header: str | None) -> list[str] | None:
    """Return the range specifications, or None when the header is to be ignored."""
    if header is None or len(header) > MAX_HEADER_CHARACTERS:
        return None
    match = _UNIT_AND_RANGES.fullmatch(header)
    if match is None:
        return None
    # RFC 9110, 5.6.1.2: a recipient must accept and ignore empty list elements.
    elements = [element.strip(" \t") for element in match[1].split(",")]
    specifications = [element for element in elements if element]
    return specifications if len(specifications) <= MAX_RANGES else None


def _select(first: str, last: str, size: int) -> ByteRange | None:
    """Return the part that one specification selects, None when it lies outside the blob."""
    if not first:
        suffix_length = min(int(last), size)
        return ByteRange(size - suffix_length, size - 1) if suffix_length else None
    start = int(first)
    end = int(last) if last else size - 1
    if last and end < start:
        raise RangeNotSatisfiable(size)
    return ByteRange(start, min(end, size - 1)) if start < size else None


def _without_overlaps(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    """Return the ranges as asked for, or in ascending order and joined if any overlap."""
    joined: list[ByteRange] = []
    for current in sorted(ranges):
        if joined and current.start <= joined[-1].end:
            joined[-1] = ByteRange(joined[-1].start, max(joined[-1].end, current.end))
        else:
            joined.append(current)
    return tuple(ranges) if len(joined) == len(ranges) else tuple(joined)
