"""What the feature announces."""

from dataclasses import dataclass

from core.events.types import Event


@dataclass(frozen=True)
class ProjectRenamed(Event):
    """A project has another name, and so have its repositories."""

    project_id: int
    old_name: str
    new_name: str


@dataclass(frozen=True)
class ProjectDeleted(Event):
    """A project and everything that belonged to it are gone; its name is free again."""

    project_id: int
    project_name: str
