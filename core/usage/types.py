"""Plain values of what projects hold."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RepositorySize:
    """A repository with the bytes of its blobs and manifests, each counted once."""

    name: str
    bytes: int
    blobs: int
    manifests: int


@dataclass(frozen=True, slots=True)
class ProjectSize:
    """A project with the bytes it holds and its limit (-1: none)."""

    id: int
    name: str
    used_bytes: int
    hard_bytes: int


@dataclass(frozen=True, slots=True)
class StorageFigures:
    """What a project, or the whole registry, held at ``counted_at``.

    ``logical_bytes`` and ``logical_contents`` count each content once for every repository that
    has it, ``deduplicated_bytes`` once. ``shared_bytes`` of these are in other projects too.
    ``pending_garbage_bytes`` are blobs that no manifest names.
    """

    logical_bytes: int
    deduplicated_bytes: int
    shared_bytes: int
    pending_garbage_bytes: int
    repositories: int
    blobs: int
    manifests: int
    logical_contents: int
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class CountedRepository:
    """What a repository held when it was counted. Its name may be another by now."""

    id: int
    bytes: int
    blobs: int
    manifests: int


@dataclass(frozen=True, slots=True)
class CountedStorage:
    """Figures with the largest repositories of the same count, the largest first."""

    figures: StorageFigures
    top_repositories: tuple[CountedRepository, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a recount changed in a project: contents counted wrongly, and bytes of its usage."""

    project_id: int
    project_name: str
    contents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Recount:
    """The outcome of recounting projects."""

    projects: int
    corrections: tuple[Correction, ...]
