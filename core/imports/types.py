"""Plain values of imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from core.blobs.storing import StoredAt
from core.oci.digest import Digest
from core.oci.manifest import ParsedManifest


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the source that is not taken over; ``where`` is its place there."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceManifest:
    """A manifest of the source, checked against its digest."""

    digest: Digest
    payload: bytes = field(repr=False)
    parsed: ParsedManifest = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceRepository:
    """What can be taken over of one repository.

    ``manifests`` stand after those that they list. Those in ``known`` were not looked at,
    because the target has them; ``tags`` lead to either.
    """

    name: str
    manifests: tuple[SourceManifest, ...]
    known: frozenset[Digest]
    tags: Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class LiveTag:
    """A tag of the target as it stands, and who set it."""

    digest: Digest
    set_by: str


class PresentBlob(NamedTuple):
    """A blob of the target as its row is; ``is_marked``: as damaged."""

    digest: Digest
    size_bytes: int
    stored: StoredAt
    is_marked: bool


class TagStep(StrEnum):
    """What is to be done with a tag."""

    CREATE = "create"
    MOVE = "move"
    NOTHING = "nothing"
    KEEP_THEIRS = "keep_theirs"


class BlobRoute(StrEnum):
    """How a blob came into its repository."""

    LINKED = "linked"
    COPIED = "copied"
    SHARED = "shared"


@dataclass(slots=True)
class Tally:
    """Counts of an import, or of what one would do. Sizes in bytes of the source's blobs.

    ``healed`` counts blobs of manifests that are here already.
    """

    repositories: int = 0
    manifests: int = 0
    manifests_present: int = 0
    tags: int = 0
    tags_present: int = 0
    blobs: dict[BlobRoute, int] = field(default_factory=lambda: dict.fromkeys(BlobRoute, 0))
    healed: int = 0
    verified_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """How many manifests and tags were, or would be, written."""
        return self.manifests + self.tags
