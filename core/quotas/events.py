"""What the feature announces."""

from dataclasses import dataclass

from core.events.types import Event


@dataclass(frozen=True)
class QuotaNearlyReached(Event):
    """A project holds 85 % of its limit or more; once each time it comes to that."""

    project_id: int
    project_name: str
    used_bytes: int
    hard_bytes: int
