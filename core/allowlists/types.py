"""Values of allowlists."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WantedAllowlist:
    """What a list is to say: which vulnerabilities, and until when; None for ever."""

    cve_ids: tuple[str, ...]
    expires_at: datetime | None
