"""What artifacts announce after their transaction has committed. Digests are text."""

from dataclasses import dataclass

from core.events.types import Event


@dataclass(frozen=True)
class RepositoryCreated(Event):
    """A first push brought a repository into being."""

    repository_id: int
    repository_name: str
    project_id: int


@dataclass(frozen=True)
class RepositoryDeleted(Event):
    """A repository is gone with all it held."""

    repository_id: int
    repository_name: str
    project_id: int


@dataclass(frozen=True)
class RepositoryMoved(Event):
    """A repository has another name, in its project or in another one."""

    repository_id: int
    old_name: str
    new_name: str
    old_project_id: int
    new_project_id: int


@dataclass(frozen=True)
class ArtifactPushed(Event):
    """A manifest was pushed that the repository did not have."""

    repository_id: int
    repository_name: str
    project_id: int
    manifest_id: int
    digest: str
    tags: tuple[str, ...]
    actor_label: str


@dataclass(frozen=True)
class ArtifactDeleted(Event):
    """A manifest was deleted; ``tags`` pointed at it until then."""

    repository_id: int
    repository_name: str
    project_id: int
    digest: str
    tags: tuple[str, ...]
    actor_label: str


@dataclass(frozen=True)
class TagMoved(Event):
    """A tag points at another manifest than before; ``old_digest`` is None for a new tag."""

    repository_id: int
    repository_name: str
    project_id: int
    tag: str
    old_digest: str | None
    new_digest: str
    actor_label: str


@dataclass(frozen=True)
class TagDeleted(Event):
    """A tag was deleted; the manifest it pointed at may live on."""

    repository_id: int
    repository_name: str
    project_id: int
    tag: str
    digest: str
    actor_label: str
