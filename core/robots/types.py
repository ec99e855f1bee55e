"""Values of robots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

Permissions = Mapping[str, frozenset[str]]
"""Project name (``"*"`` every project, ``"/"`` the system) to permission names."""


class Unchanged(Enum):
    """Stands for an argument that was not given, where None has a meaning of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class RobotFacts:
    """What a robot's login is decided by; ``label`` is the name it logs in with."""

    id: int
    label: str
    secret_hash: bytes = field(repr=False)
    previous_secret_hash: bytes | None = field(repr=False)
    previous_valid_until: datetime | None
    is_disabled: bool
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Power:
    """What a robot may do, whether it may at all, and until when; None for ever."""

    permissions: Permissions
    is_disabled: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class RobotLogin:
    """What a login needs of a robot, read with one statement.

    ``permissions`` and ``project_ids`` are as they are stored, for ``queries.permissions_of``.
    """

    facts: RobotFacts
    permissions: Mapping[str, Sequence[str]]
    project_ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RobotName:
    """A login name taken apart; ``project_name`` is None for robots of the system."""

    project_name: str | None
    name: str
