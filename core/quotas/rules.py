"""Limits and what is said about them: pure decisions."""

import json
from typing import Final

from core.quotas.errors import QuotaExceeded

UNLIMITED: Final = -1
"""The limit of a project that may hold any number of bytes."""

WARNING_PERCENT: Final = 85
"""From so much of the limit on, it is announced that the project is nearly full."""

MAXIMUM_LIMIT: Final = 2**63 - 1

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def is_valid_limit(hard_bytes: int) -> bool:
    """Tell whether a project could have the limit."""
    return hard_bytes == UNLIMITED or 0 < hard_bytes <= MAXIMUM_LIMIT


def exceeded(detail: str) -> QuotaExceeded:
    """Return the refusal for what the database says of it: a JSON object of bytes."""
    numbers = json.loads(detail)
    return refusal(int(numbers["adding"]), used=int(numbers["used"]), hard=int(numbers["hard"]))


def refusal(adding: int, *, used: int, hard: int) -> QuotaExceeded:
    """Return the refusal of a write, in the words that clients of Harbor know."""
    return QuotaExceeded(
        f"adding {format_bytes(adding)} of storage resource, which when updated to current usage "
        f"of {format_bytes(used)} will exceed the configured upper limit of {format_bytes(hard)}.",
        detail={"adding": adding, "used": used, "hard": hard},
    )


def ensure_room(size: int, *, used: int, hard: int, is_known: bool, may_be_known: bool) -> None:
    """Refuse bytes of a blob before they come. Raises ``QuotaExceeded``.

    A blob that the project has costs nothing (``is_known``). One of which nobody knows what it
    is may be such a blob (``may_be_known``), unless it is larger than all that the project holds.
    """
    if hard == UNLIMITED or is_known:
        return
    if size > (max(hard, used) if may_be_known else hard - used):
        raise refusal(size, used=used, hard=hard)


def format_bytes(size: int) -> str:
    """Return a size in the largest binary unit that it fills, with one decimal."""
    exponent = max(0, (abs(size).bit_length() - 1) // 10)
    unit = _UNITS[exponent]
    return f"{size} {unit}" if exponent == 0 else f"{size / 1024**exponent:.1f} {unit}"
