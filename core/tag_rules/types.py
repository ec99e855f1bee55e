"""Values of rules, and what the gatekeeper needs to know of a write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Selectors:
    """What a rule selects: repositories by their path within the project, and tags.

    The decorations are Harbor's words for whether those are meant that match a pattern or
    those that do not (``rules.REPOSITORY_DECORATIONS``, ``rules.TAG_DECORATIONS``).
    """

    repository_decoration: str
    repository_pattern: str
    tag_decoration: str
    tag_pattern: str


class TagWrite(Protocol):
    """A write that is about to happen (``core.artifacts.types.PendingWrite``)."""

    @property
    def project_id(self) -> int:
        """The project it happens in."""

    @property
    def repository_name(self) -> str:
        """The full name of the repository."""

    @property
    def moved_tags(self) -> Mapping[str, object]:
        """The tags that would point elsewhere or vanish."""
