"""What may stand in an allowlist, and whether it counts: pure decisions."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from core.allowlists.errors import AllowlistInvalid

MAXIMUM_ITEMS: Final = 10_000
MAXIMUM_ID_LENGTH: Final = 128

# CVE-2026-12345, and the names of other sources: GHSA-..., RHSA-2026:1234, TEMP-0841856-B18BAF.
_CVE_ID: Final = re.compile(r"[A-Za-z0-9]+(?:[._:-][A-Za-z0-9]+)*")


def checked_cve_ids(cve_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids in order. Raises ``AllowlistInvalid`` naming the first that cannot be."""
    found: set[str] = set()
    for cve_id in cve_ids:
        if len(cve_id) > MAXIMUM_ID_LENGTH or not _CVE_ID.fullmatch(cve_id):
            raise AllowlistInvalid(
                f"items: {cve_id[:MAXIMUM_ID_LENGTH]!r} is no id of a vulnerability."
            )
        if cve_id in found:
            raise AllowlistInvalid(f"items: {cve_id} stands there twice.")
        if len(found) == MAXIMUM_ITEMS:
            raise AllowlistInvalid(f"items: there may be {MAXIMUM_ITEMS} at most.")
        found.add(cve_id)
    return tuple(sorted(found))


def is_in_force(expires_at: datetime | None, now: datetime) -> bool:
    """Tell whether a list counts at that moment."""
    return expires_at is None or now < expires_at
