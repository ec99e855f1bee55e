"""Plain values of repositories, manifests, tags and the answers of the hot queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from core.common.errors import DomainError
from core.oci.digest import Digest
from core.rbac.types import Actor, Target


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """The project a repository name leads to, whether or not the repository exists.

    Together, ``id`` and ``generation`` tell whether a token speaks of this project as it is:
    another one may have taken the name, and it may have been made private.
    """

    id: int
    is_public: bool
    generation: int


@dataclass(frozen=True, slots=True)
class TargetLookup:
    """Where a repository name leads.

    ``generation`` is that of the subject the look-up was made for (``core.users.revocations``);
    a token of another one has been revoked. ``redirected_to`` is the present name of a
    repository that was found by a former one, whose project ``project`` is then.
    ``has_redirect`` says, where nothing but the target is looked up, that the name is none of a
    repository and may be a former one.
    """

    project: ProjectFacts | None
    generation: int
    repository_id: int | None
    redirected_to: str | None = field(default=None, kw_only=True)
    has_redirect: bool = field(default=False, kw_only=True)

    def target(self, name: str) -> Target:
        """Return what ``core.rbac`` decides about, for the repository name looked up."""
        name = self.redirected_to or name
        return Target(
            project_id=self.project.id if self.project else None,
            project_name=name.partition("/")[0],
            is_public=self.project.is_public if self.project else False,
            repository_id=self.repository_id,
            repository_name=name,
        )


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is served; ``payload`` is None where it was not read along.

    ``touched_at`` is when a pusher last relied on its being there.
    """

    id: int
    digest: Digest
    media_type: str
    size_bytes: int
    touched_at: datetime
    payload: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob of one repository, and which storage keeps its bytes under which key.

    ``is_damaged`` says that the bytes are known not to have the digest any more.
    """

    id: int
    digest: Digest
    size_bytes: int
    store: str
    storage_key: str
    leased_until: datetime
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class ManifestLookup(TargetLookup):
    """Answer to a question for a manifest."""

    manifest: StoredManifest | None


@dataclass(frozen=True, slots=True)
class BlobLookup(TargetLookup):
    """Answer to a question for a blob."""

    blob: StoredBlob | None


class TagEnd(NamedTuple):
    """When a tag ends: at an instant, or when its configuration will have been read; or never."""

    expires_at: datetime | None = None
    awaits_life: bool = False


class Place(NamedTuple):
    """A repository by name, in its project."""

    repository_name: str
    project_id: int


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """Outcome of a push.

    ``tags`` are those the push asked for, which all point at the manifest now. ``created`` is
    False when the repository had the manifest already.
    """

    id: int
    repository_id: int
    digest: Digest
    subject: Digest | None
    tags: tuple[str, ...]
    created: bool


@dataclass(frozen=True, slots=True)
class Referrer:
    """One manifest whose subject is another; ``id`` is the position for the next page."""

    id: int
    digest: Digest
    media_type: str
    size_bytes: int
    artifact_type: str | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReadableRepositories:
    """Which repositories a list may show.

    ``everything`` is for system administrators. Otherwise: repositories of public projects
    (when ``public``), of the projects in ``project_ids`` and ``project_names``, and those in
    ``repository_ids``.
    """

    everything: bool = False
    public: bool = True
    project_ids: frozenset[int] = frozenset()
    project_names: frozenset[str] = frozenset()
    repository_ids: frozenset[int] = frozenset()


class RepositoryPage(NamedTuple):
    """Full names of repositories in byte order, and the generation of who asked for them."""

    names: list[str]
    generation: int


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """What a gatekeeper is asked about, while nothing of it is written yet.

    ``action`` is one of manifest.push, tag.create, tag.delete, tag.expire, manifest.delete,
    blob.push, blob.mount, blob.delete, repository.update, repository.delete and
    repository.transfer. ``moved_tags`` holds the tags that would point elsewhere or vanish, now or
    at a set time, with the digest they have now. ``size_bytes`` is the size of a pushed blob, or
    of the pushed manifest with everything it names.
    """

    action: str
    actor: Actor
    project_id: int
    repository_id: int
    repository_name: str
    digest: Digest | None = None
    tags: tuple[str, ...] = ()
    moved_tags: Mapping[str, Digest] = field(default_factory=dict[str, Digest])
    size_bytes: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class DeletedArtifact:
    """What a deletion took: tags, also those of accessories, and the manifests that went along."""

    tags: tuple[str, ...]
    along: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class BulkSelector:
    """Chooses artifacts of a repository: those with a tag that matches, or those without a tag.

    ``pushed_before`` leaves out what was pushed from then on.
    """

    tag_pattern: str = ""
    is_untagged: bool = False
    pushed_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """What to do (``delete``, ``tag`` or ``untag``) with which artifacts or tags."""

    action: str
    digests: tuple[Digest, ...] = ()
    tags: tuple[str, ...] = ()
    selector: BulkSelector | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of one artifact or tag; without a ``refusal`` it was, or would be, done.

    ``ended_tags`` are those that a deleted artifact had, whatever it was selected by, and those of
    its accessories; ``along`` are the manifests that went with it.
    """

    digest: Digest | None
    tag: str
    refusal: DomainError | None
    ended_tags: tuple[str, ...] = ()
    along: tuple[Digest, ...] = ()
