"""Copying artifacts between repositories: content is linked, no byte of it moves.

A copy goes through the services that mounts and pushes go through, one after the other: so
gatekeepers and quotas have their say, and everything is audited and announced as if a client had
pushed it.

A small copy into a repository that it makes is one transaction, so one that is refused leaves no
repository. Who pushes the same into the project at the same moment waits for the outcome. Other
copies are no single transaction: they would hold locks for long that pushes take in other orders.
One that was broken off leaves content that the next attempt finds, and no tag: that comes last.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from django.db import OperationalError
from psycopg2.errors import DeadlockDetected

from core.artifacts.errors import (
    CopyIncomplete,
    CopyRefused,
    ManifestBlobUnknown,
    ManifestUnknown,
    TagExists,
)
from core.artifacts.services.blobs import find_sound_blob, mount_blob, mount_stored_blob
from core.artifacts.services.labels import copy_labels
from core.artifacts.services.manifests import push_manifest, touch_manifest
from core.artifacts.services.repositories import create_repository_locked
from core.artifacts.services.tags import create_tag
from core.blobs.errors import BlobRowChanged
from core.blobs.storing import StoredAt
from core.common import clock
from core.database import raw
from core.database.transactions import durable_write, joined_writes
from core.oci.digest import Digest
from core.oci.reference import parse_repository_name
from core.oci.referrers import COMPANION_TAG, companion_tags
from core.rbac.types import Actor

MAXIMUM_MANIFESTS: Final = 1_000
"""How many manifests one copy takes along."""

MAXIMUM_AT_ONCE: Final = 100
"""With up to so many manifests and blobs, a copy that makes its repository is one transaction."""

# An accessory names its subject, or has no tags but those that hold the digest of another one.
_FIND_SOURCE = """
SELECT m.id,
       m.subject IS NOT NULL
       OR (SELECT coalesce(bool_and(own.name ~ %s), false) FROM artifacts_tag own
            WHERE own.manifest_id = m.id AND own.ended_at IS NULL),
       m.digest, r.id
  FROM artifacts_repository r
  JOIN artifacts_manifest m ON m.repository_id = r.id
  LEFT JOIN artifacts_tag t
         ON t.repository_id = r.id AND t.name = %s AND t.ended_at IS NULL
 WHERE r.name = %s AND m.digest = coalesce(%s, t.digest)
"""

# What an index lists, and what is about a manifest, which is in the same repository.
_NEIGHBOURS = """
SELECT child.id, child.digest
  FROM artifacts_manifestreference f JOIN artifacts_manifest child ON child.id = f.child_id
 WHERE f.parent_id = ANY(%s::bigint[])
 UNION
SELECT m.id, m.digest
  FROM artifacts_manifest about
  JOIN artifacts_manifest m
    ON m.repository_id = about.repository_id AND m.subject = about.digest AND m.subject IS NOT NULL
 WHERE about.id = ANY(%s::bigint[])
 LIMIT %s
"""

_FIND_COMPANIONS = """
SELECT t.name, m.id, m.digest
  FROM artifacts_tag t JOIN artifacts_manifest m ON m.id = t.manifest_id
 WHERE t.repository_id = %s AND t.name = ANY(%s::text[]) AND t.ended_at IS NULL
"""

_READ_MANIFEST = """
SELECT m.digest, m.media_type, m.payload, there.id
  FROM artifacts_manifest m
  LEFT JOIN artifacts_repository target ON target.name = %s
  LEFT JOIN artifacts_manifest there
         ON there.repository_id = target.id AND there.digest = m.digest
 WHERE m.id = %s
"""

_BLOBS_OF = """
SELECT DISTINCT b.digest
  FROM artifacts_manifestreference f JOIN blobs_blob b ON b.id = f.blob_id
 WHERE f.parent_id = ANY(%s::bigint[]) ORDER BY b.digest
"""

_FIND_REPOSITORY = "SELECT id FROM artifacts_repository WHERE name = %s"

_FIND_TAG = """
SELECT t.digest
  FROM artifacts_repository r
  JOIN artifacts_tag t ON t.repository_id = r.id AND t.name = %s AND t.ended_at IS NULL
 WHERE r.name = %s
"""


def copy_artifact(
    source_name: str,
    reference: Digest | str,
    *,
    target_name: str,
    target_project_id: int,
    actor: Actor,
) -> Digest:
    """Let a repository have an artifact of another, with all that belongs to it.

    That is what an index lists, and what is about any of these: by its subject, or by a tag that
    holds the other's digest, as cosign keeps signatures. Such a tag comes along, unless it names
    something else in the target. So do labels that artifacts of the target may carry. A reference
    that is a tag names the artifact in the target, too. Returns the artifact's digest. Copying
    again what is there changes nothing; a tag is never moved. Whoever calls has authorized both
    sides. Raises NameInvalid, ManifestUnknown when the source has no such artifact, CopyRefused
    for an accessory, TagExists when the target's tag names something else, CopyIncomplete,
    NameUnknown when the target's project is gone, and what gatekeepers and quotas raise.
    """
    target = str(parse_repository_name(target_name))
    tag = reference if isinstance(reference, str) else None
    wanted = reference.to_bytes() if isinstance(reference, Digest) else None
    found = raw.fetch_one(_FIND_SOURCE, (COMPANION_TAG, tag, source_name, wanted))
    if found is None:
        raise ManifestUnknown(f"There is no artifact {source_name} with the reference {reference}.")
    manifest_id, is_accessory, stored_digest, repository_id = found
    if is_accessory:
        raise CopyRefused
    digest = Digest.from_bytes(bytes(stored_digest))
    if tag is not None:
        _ensure_free(target, tag, digest)
    family = _family(repository_id, manifest_id, digest, target)
    copy = _Copy(source_name, target, target_project_id, family, tag, digest, actor)
    if raw.fetch_one(_FIND_REPOSITORY, (target,)) is None and _copied_into_new(copy):
        return digest
    for each in family.manifest_ids:
        if not _is_there(each, target):
            _mount_blobs(each, copy)
            _push(each, copy)
    _name_copies(copy)
    return digest


class _Family(NamedTuple):
    """What is copied: manifests, and the tags by which some of them are about others."""

    manifest_ids: list[int]
    tags: dict[str, Digest]


class _Copy(NamedTuple):
    """What is copied, where to, and which tag the artifact ``digest`` gets."""

    source: str
    target: str
    project_id: int
    family: _Family
    tag: str | None
    digest: Digest
    actor: Actor


class _RepositoryAppeared(Exception):
    """Somebody else has just made the repository."""


def _copied_into_new(copy: _Copy) -> bool:
    """Make the repository with all that is copied, or nothing; False when it takes more steps."""
    digests = _blobs_of(copy.family.manifest_ids)
    if len(digests) + len(copy.family.manifest_ids) > MAXIMUM_AT_ONCE:
        return False
    # A look at the storage may take long, and so comes before anything is locked.
    stored = {digest: find_sound_blob(copy.source, digest) for digest in digests}
    try:
        _copy_into_new(copy, stored, actor=copy.actor)
    except _RepositoryAppeared:
        return False
    except OperationalError as error:
        if not isinstance(error.__cause__, DeadlockDetected):
            raise
        # Others hold some of the same content in another order; one by one, nobody waits in a ring.
        return False
    except BlobRowChanged as error:
        raise _blob_is_gone() from error
    return True


@durable_write
def _copy_into_new(copy: _Copy, stored: Mapping[Digest, StoredAt | None], *, actor: Actor) -> None:
    created = create_repository_locked(
        copy.target, project_id=copy.project_id, actor=actor, now=clock.now()
    )
    if created is None:
        raise _RepositoryAppeared
    with joined_writes():
        for digest, place in stored.items():
            if place is None:
                raise _blob_is_gone()
            mount_stored_blob(digest, copy.source, place, copy.target, copy.project_id, actor=actor)
        for each in copy.family.manifest_ids:
            _push(each, copy)
        _name_copies(copy)


def _name_copies(copy: _Copy) -> None:
    """Let the copies have labels and tags, the artifact's own tag last."""
    copy_labels(copy.family.manifest_ids, copy.target, actor=copy.actor)
    for name, named in sorted(copy.family.tags.items()):
        _name_companion(copy.target, name, named, actor=copy.actor)
    if copy.tag is not None:
        _name(copy.target, copy.tag, copy.digest, actor=copy.actor)


def _find_tag(target: str, tag: str) -> Digest | None:
    found = raw.fetch_one(_FIND_TAG, (tag, target))
    return None if found is None else Digest.from_bytes(bytes(found[0]))


def _name_companion(target: str, tag: str, digest: Digest, *, actor: Actor) -> None:
    if _find_tag(target, tag) is None:
        # Who was quicker has signed it, and needs no signature of ours.
        with suppress(TagExists):
            create_tag(target, digest, tag, actor=actor)


def _ensure_free(target: str, tag: str, digest: Digest) -> bool:
    """Tell whether the tag names the artifact already. Raises TagExists if it names another."""
    found = _find_tag(target, tag)
    if found not in (None, digest):
        raise TagExists(f"The tag {tag} names another artifact in {target}.")
    return found is not None


def _name(target: str, tag: str, digest: Digest, *, actor: Actor) -> None:
    if _ensure_free(target, tag, digest):
        return
    try:
        create_tag(target, digest, tag, actor=actor)
    except TagExists:
        # Somebody was quicker; if it was the same copy, all is well.
        if not _ensure_free(target, tag, digest):
            raise


def _family(repository_id: int, root: int, digest: Digest, target: str) -> _Family:
    """Return the manifests to copy, the oldest first, which most often puts children first.

    Where it does not, the index waits for them as it does when clients push in that order.
    """
    found = {root}
    tags: dict[str, Digest] = {}
    newest = {root: digest}
    while newest:
        ids = list(newest)
        rows = raw.fetch_all(_NEIGHBOURS, (ids, ids, MAXIMUM_MANIFESTS + 1))
        names = [name for each in newest.values() for name in companion_tags(each)]
        newest = {int(row[0]): Digest.from_bytes(bytes(row[1])) for row in rows}
        for name, manifest_id, stored in raw.fetch_all(_FIND_COMPANIONS, (repository_id, names)):
            companion = Digest.from_bytes(bytes(stored))
            if _find_tag(target, name) in (None, companion):
                tags[name] = newest[int(manifest_id)] = companion
        newest = {each: named for each, named in newest.items() if each not in found}
        found.update(newest)
        if len(found) > MAXIMUM_MANIFESTS:
            raise CopyIncomplete(f"A copy takes at most {MAXIMUM_MANIFESTS} manifests along.")
    return _Family(sorted(found), tags)


def _is_there(manifest_id: int, target: str) -> bool:
    """Tell whether the target has the manifest, which then stays there for the copy's time."""
    there = _read(manifest_id, target)[3]
    return there is not None and touch_manifest(int(there))


def _read(manifest_id: int, target: str) -> raw.Row:
    found = raw.fetch_one(_READ_MANIFEST, (target, manifest_id))
    if found is None:
        raise CopyIncomplete("The artifact was deleted while it was being copied.")
    return found


def _blobs_of(manifest_ids: list[int]) -> list[Digest]:
    """Return the blobs in the order in which everybody holds many contents of a project."""
    rows = raw.fetch_all(_BLOBS_OF, (manifest_ids,))
    return [Digest.from_bytes(bytes(digest)) for (digest,) in rows]


def _blob_is_gone() -> CopyIncomplete:
    return CopyIncomplete("A blob of the artifact is missing or damaged.")


def _mount_blobs(manifest_id: int, copy: _Copy) -> None:
    for digest in _blobs_of([manifest_id]):
        mounted = mount_blob(
            digest,
            source=copy.source,
            target_name=copy.target,
            project_id=copy.project_id,
            actor=copy.actor,
            readable=lambda _name: True,
        )
        if mounted is None:
            raise _blob_is_gone()


def _push(manifest_id: int, copy: _Copy) -> None:
    digest, media_type, payload, _there = _read(manifest_id, copy.target)
    try:
        push_manifest(
            copy.target,
            project_id=copy.project_id,
            payload=bytes(payload),
            content_type=str(media_type),
            reference=Digest.from_bytes(bytes(digest)),
            actor=copy.actor,
        )
    except ManifestBlobUnknown as error:
        raise CopyIncomplete from error
