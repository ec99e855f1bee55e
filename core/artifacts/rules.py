"""Pure decisions on pushes, tags and preconditions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from core.artifacts.errors import (
    ExpiryInvalid,
    ManifestBlobUnknown,
    PreconditionFailed,
    SourceInvalid,
)
from core.blobs.errors import DigestMismatch
from core.oci.digest import Digest
from core.oci.entity_tags import EntityTags, entity_tag
from core.oci.errors import ManifestInvalid
from core.oci.manifest import ManifestRef, ReferenceRole
from core.oci.media_types import MANIFEST_TYPES
from core.oci.reference import parse_repository_name, parse_tag

LEASE: Final = timedelta(hours=24)
"""How long a pushed or mounted blob waits for the manifest that names it."""

LEASE_RENEWED_BELOW: Final = timedelta(hours=12)
"""A lease with less time than this left is renewed when a pusher relies on the blob."""

LEASE_AFTER_DELETE: Final = timedelta(hours=2)
"""How long a blob outlives the deletion of a manifest that named it, at least."""

MAXIMUM_TOTAL_BYTES: Final = 2**63 - 1
"""The largest size that the database keeps."""


EXPIRES_AFTER: Final = "org.roadstead.expires-after"
"""The annotation of a manifest by which tags that are pushed with it end by themselves.

A label of that name in an image's configuration does the same, where no annotation says so.
"""

FOREIGN_EXPIRES_AFTER: Final = "quay.expires-after"
"""The one that other registries know; what cannot be read may be meant for them, and is ignored."""

SHORTEST_LIFE: Final = timedelta(minutes=1)
LONGEST_LIFE: Final = timedelta(days=3650)

_LIFE: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


_SHOWN_CHARACTERS: Final = 64


class StatedLife(NamedTuple):
    """How long tags live, if anything says so; ``ignored`` is what says so and cannot be read."""

    life: timedelta | None = None
    ignored: str = ""


class FoundContent(NamedTuple):
    """Content of the repository that a manifest names: exactly one of the ids is set.

    ``total_bytes`` is ``size_bytes`` for a blob; for a manifest it includes what that names.
    """

    blob_id: int | None
    manifest_id: int | None
    size_bytes: int
    total_bytes: int


class ResolvedReference(NamedTuple):
    """A reference of a manifest with the content it was resolved to.

    Without ``content`` it is a foreign layer, or waits for content that may arrive later.
    """

    reference: ManifestRef
    role: ReferenceRole
    content: FoundContent | None

    @property
    def is_waiting(self) -> bool:
        """Whether the content is to be bound to this reference when it arrives."""
        return self.content is None and self.role is not ReferenceRole.FOREIGN


def pushed_digest(payload: bytes, reference: Digest | str) -> Digest:
    """Return the digest under which a payload is pushed; SHA-256 unless a digest is given.

    Raises DigestMismatch when the payload does not have the given digest.
    """
    if isinstance(reference, str):
        return Digest.of(payload)
    if not reference.matches(payload):
        raise DigestMismatch("The manifest does not have the digest it is pushed under.")
    return reference


def pushed_tags(reference: Digest | str, extra_tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags a push sets, sorted, each once.

    Extra tags count for pushes by digest only (distribution-spec, end-7b). Raises TagInvalid.
    """
    if isinstance(reference, str):
        return (parse_tag(reference),)
    return tuple(sorted({parse_tag(tag) for tag in extra_tags}))


def parse_source(text: str) -> tuple[str, Digest | str]:
    """Return repository and reference of ``project/repository:tag`` or ``...@digest``.

    Raises SourceInvalid, NameInvalid, TagInvalid and DigestInvalid.
    """
    name, separator, digest = text.partition("@")
    if separator:
        return str(parse_repository_name(name)), Digest.parse(digest)
    name, separator, tag = text.rpartition(":")
    if not separator:
        raise SourceInvalid
    return str(parse_repository_name(name)), parse_tag(tag)


def require_precondition(
    if_match: EntityTags | None, if_none_match: EntityTags | None, current: Digest | None
) -> None:
    """Compare a reference's current digest with the headers (RFC 9110, section 13.1).

    ``current`` is None when the reference does not exist. Raises PreconditionFailed.
    """
    tag = None if current is None else entity_tag(current)
    if if_match is not None and (tag is None or not if_match.names(tag)):
        raise PreconditionFailed
    if if_none_match is not None and tag is not None and if_none_match.names_weakly(tag):
        raise PreconditionFailed


def resolve_references(
    references: Sequence[ManifestRef],
    blobs: Mapping[Digest, FoundContent],
    manifests: Mapping[Digest, FoundContent],
    *,
    accept_missing_blobs: bool,
) -> tuple[ResolvedReference, ...]:
    """Match what a manifest names with what its repository holds.

    An entry of an index is a manifest, but build caches list plain blobs there, under media
    types of their own; those count as layers. Children of an index may be missing, blobs only
    when ``accept_missing_blobs``. Raises ManifestBlobUnknown with every digest that may not
    be missing, and ManifestInvalid when a size is not the real one.
    """
    resolved = tuple(_resolve(reference, blobs, manifests) for reference in references)
    missing = {
        item.reference.digest: None
        for item in resolved
        if item.is_waiting and item.role is not ReferenceRole.CHILD and not accept_missing_blobs
    }
    if missing:
        raise ManifestBlobUnknown(tuple(missing))
    for item in resolved:
        if item.content is not None and item.content.size_bytes != item.reference.size:
            raise ManifestInvalid(
                f"The size of {item.reference.digest} is {item.content.size_bytes}, "
                f"not {item.reference.size}."
            )
    return resolved


def _resolve(
    reference: ManifestRef,
    blobs: Mapping[Digest, FoundContent],
    manifests: Mapping[Digest, FoundContent],
) -> ResolvedReference:
    if reference.role is not ReferenceRole.CHILD:
        # A foreign layer may have been pushed all the same; then it is kept like any other.
        return ResolvedReference(reference, reference.role, blobs.get(reference.digest))
    found = manifests.get(reference.digest)
    if found is None and reference.media_type not in MANIFEST_TYPES:
        blob = blobs.get(reference.digest)
        return ResolvedReference(reference, ReferenceRole.LAYER, blob)
    return ResolvedReference(reference, ReferenceRole.CHILD, found)


def total_bytes(payload_bytes: int, resolved: Iterable[ResolvedReference]) -> int:
    """Return the size of a manifest with everything it names, each content counted once.

    What has not arrived counts with the size that the manifest states. Indexes that list each
    other's children double with every level; the sum ends at ``MAXIMUM_TOTAL_BYTES``.
    """
    contents = {
        item.reference.digest: item.content.total_bytes if item.content else item.reference.size
        for item in resolved
        if item.content is not None or item.is_waiting
    }
    return min(payload_bytes + sum(contents.values()), MAXIMUM_TOTAL_BYTES)


def parse_life(text: str) -> timedelta:
    """Return how long a tag lives: a number and one of s, m, h, d, w. Raises ExpiryInvalid."""
    match = _LIFE.fullmatch(text)
    if match is None:
        raise ExpiryInvalid
    seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    # A timedelta cannot hold millions of years, so the numbers are compared.
    if not SHORTEST_LIFE.total_seconds() <= seconds <= LONGEST_LIFE.total_seconds():
        raise ExpiryInvalid
    return timedelta(seconds=seconds)


def stated_life(texts: Mapping[str, str]) -> StatedLife:
    """Return what annotations, or labels, say of the life of tags."""
    for name in (EXPIRES_AFTER, FOREIGN_EXPIRES_AFTER):
        if name in texts:
            try:
                return StatedLife(parse_life(texts[name]))
            except ExpiryInvalid:
                return StatedLife(None, f"{name}={texts[name][:_SHOWN_CHARACTERS]!r}")
    return StatedLife()


def life_by_annotations(annotations: Mapping[str, str]) -> StatedLife:
    """Return the same for a manifest. Raises ManifestInvalid when our own cannot be read."""
    stated = stated_life(annotations)
    if stated.ignored and EXPIRES_AFTER in annotations:
        raise ManifestInvalid(f"{EXPIRES_AFTER}: {ExpiryInvalid.default_message}")
    return stated


def ensure_in_bounds(expires_at: datetime, now: datetime) -> None:
    """Refuse an end that is over or far away. Raises ExpiryInvalid."""
    if not now < expires_at <= now + LONGEST_LIFE:
        raise ExpiryInvalid


def needs_renewal(leased_until: datetime, now: datetime) -> bool:
    """Tell whether so little of a lease is left that relying on the blob must renew it."""
    return leased_until < now + LEASE_RENEWED_BELOW


def needs_touch(touched_at: datetime, now: datetime) -> bool:
    """Tell whether a pusher's relying on a manifest must be noted, as for the lease of a blob."""
    return needs_renewal(touched_at + LEASE, now)
