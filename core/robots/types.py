"""Values of robots."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

Permissions = Mapping[str, frozenset[str]]
"""Project name (``"*"`` every project, ``"/"`` the system) to permission names."""


class Unchanged(Enum):
    """Stands for an argument that was not given, where None has a meaning of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class RobotName:
    """A login name taken apart; ``project_name`` is None for robots of the system."""

    project_name: str | None
    name: str
