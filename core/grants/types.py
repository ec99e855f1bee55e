"""Values of repository grants."""

from dataclasses import dataclass
from enum import StrEnum

from core.rbac.types import Actor


class RepositoryRight(StrEnum):
    """What may be granted on one repository; each right is granted on its own."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class RepositoryGrant:
    """One right that a user or a group (``subject_kind``) holds on a repository."""

    subject_kind: str
    subject_id: int
    subject_name: str
    right: RepositoryRight

    def __str__(self) -> str:
        """Return what an audit entry says of it."""
        return f"{self.right} for the {self.subject_kind} {self.subject_name}"


@dataclass(frozen=True, slots=True)
class AskedRobot:
    """A robot that a question is about; ``project_name`` is None for one of the system."""

    actor: Actor
    project_name: str | None
    is_usable: bool
