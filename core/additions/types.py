"""Values of additions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addition:
    """An addition as it is answered."""

    media_type: str
    content: bytes
