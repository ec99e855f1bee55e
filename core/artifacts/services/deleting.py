"""Deleting manifests: one by itself, or an artifact with what belongs to it alone."""

from typing import NamedTuple

from core.artifacts import rules
from core.artifacts.errors import ArtifactInUse, ManifestUnknown
from core.artifacts.events import ArtifactDeleted, TagDeleted
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.services import history
from core.artifacts.services.belongings import Belongings, find_belongings_alone
from core.artifacts.services.discarding import discard_manifests_locked
from core.artifacts.services.history import LiveTag
from core.artifacts.services.repositories import (
    hold_labels_of_manifests_locked,
    reserve_repository_locked,
    touch_repository_locked,
)
from core.artifacts.types import DeletedArtifact, PendingWrite
from core.audit import services as audit
from core.common import clock
from core.database import raw
from core.database.transactions import durable_write
from core.events.services import publish
from core.oci.digest import Digest
from core.rbac.types import Actor

_FIND_MANIFEST = "SELECT id FROM artifacts_manifest WHERE repository_id = %s AND digest = %s"

# The order of an index keeps the planner from looking through all references for the first that
# there is. To ask for an equal key as well would make that order no order.
_FIND_PARENT = """
SELECT digest FROM artifacts_manifest
 WHERE id = (SELECT parent_id FROM artifacts_manifestreference
              WHERE child_id BETWEEN %(child)s AND %(child)s ORDER BY child_id LIMIT 1)
"""

# Children that stay are marked again, so they are locked with those that go.
_LOCK_MANIFESTS = """
SELECT id FROM artifacts_manifest
 WHERE id = ANY(%(ids)s::bigint[] || ARRAY(
       SELECT child_id FROM artifacts_manifestreference
        WHERE parent_id = ANY(%(ids)s::bigint[]) AND child_id IS NOT NULL))
 ORDER BY id FOR UPDATE
"""

# Being no longer referred to starts the clock for blobs and children alike.
_LEASE_BLOBS = """
UPDATE artifacts_repositoryblob SET leased_until = greatest(leased_until, %(until)s)
 WHERE id = ANY(ARRAY(
       SELECT l.id
         FROM (SELECT DISTINCT blob_id FROM artifacts_manifestreference
                WHERE parent_id = ANY(%(ids)s::bigint[]) AND blob_id IS NOT NULL) f
        CROSS JOIN LATERAL
              (SELECT id FROM artifacts_repositoryblob
                WHERE repository_id = %(repository)s AND blob_id = f.blob_id LIMIT 1) l))
"""
_TOUCH_CHILDREN = """
UPDATE artifacts_manifest SET touched_at = greatest(touched_at, %(now)s)
 WHERE id IN (SELECT child_id FROM artifacts_manifestreference
               WHERE parent_id = ANY(%(ids)s::bigint[]))
   AND id <> ALL(%(ids)s::bigint[])
"""

# In one statement: a child that is gone as well need not be told that no index lists it.
_DELETE = """
WITH gone AS (DELETE FROM artifacts_manifest WHERE id = ANY(%(ids)s::bigint[]))
DELETE FROM artifacts_manifestreference WHERE parent_id = ANY(%(ids)s::bigint[])
"""


class ReservedManifest(NamedTuple):
    """A manifest whose repository every other write is held off from."""

    repository_id: int
    repository_name: str
    project_id: int
    id: int
    digest: Digest


@durable_write
def delete_artifact(repository_name: str, digest: Digest, *, actor: Actor) -> DeletedArtifact:
    """Delete a manifest with all its tags, and what belongs to it alone, or nothing of it.

    That is children of an index that no other index lists and no tag names, and accessories with
    their tags; of all these again the same. All can be restored from the trash, by one entry.
    Returns what went. Raises NameUnknown, ManifestUnknown, ArtifactInUse while an index of the
    repository lists it, TooManyBelongings, and what gatekeepers raise about any of the tags.
    """
    manifest = reserve_manifest_locked(repository_name, digest)
    parent = find_parent_alone(manifest)
    if parent is not None:
        raise ArtifactInUse(f"The artifact is referenced by index {parent}.")
    along = find_belongings_alone(manifest.repository_id, manifest.id, digest)
    return delete_manifests_locked(manifest, along, actor=actor)


def reserve_manifest_locked(repository_name: str, digest: Digest) -> ReservedManifest:
    """Find a manifest and hold off other writes. Raises NameUnknown and ManifestUnknown."""
    repository_id, project_id = reserve_repository_locked(repository_name)
    found = raw.fetch_one(_FIND_MANIFEST, (repository_id, digest.to_bytes()))
    if found is None:
        raise ManifestUnknown
    return ReservedManifest(repository_id, repository_name, project_id, int(found[0]), digest)


def find_parent_alone(manifest: ReservedManifest) -> Digest | None:
    """Return the digest of an index that lists the manifest, if there is one."""
    parent = raw.fetch_one(_FIND_PARENT, {"child": manifest.id})
    return None if parent is None else Digest.from_bytes(bytes(parent[0]))


def delete_manifests_locked(
    manifest: ReservedManifest, along: Belongings, *, actor: Actor
) -> DeletedArtifact:
    """Delete a manifest and what goes along, with all their tags. Raises what gatekeepers raise."""
    repository_id, repository_name, project_id, manifest_id, digest = manifest
    ids = [manifest_id, *(each.id for each in along.manifests)]
    raw.fetch_all(_LOCK_MANIFESTS, {"ids": ids})
    tags = history.lock_tags_of_manifests(repository_id, ids, along.companion_tags)
    now = clock.now()
    names = tuple(tag.name for tag in tags)
    ask_gatekeepers(
        PendingWrite(
            action="manifest.delete",
            actor=actor,
            project_id=project_id,
            repository_id=repository_id,
            repository_name=repository_name,
            digest=digest,
            tags=names,
            moved_tags={tag.name: tag.digest for tag in tags},
        )
    )
    hold_labels_of_manifests_locked(ids)
    discard_manifests_locked(
        repository_name, ids, digest, tags, project_id=project_id, actor=actor, now=now
    )
    history.end_tags(tags, ended_by=actor.label, now=now)
    leased_until = now + rules.LEASE_AFTER_DELETE
    raw.execute(_LEASE_BLOBS, {"until": leased_until, "repository": repository_id, "ids": ids})
    raw.execute(_TOUCH_CHILDREN, {"now": now, "ids": ids})
    raw.execute(_DELETE, {"ids": ids})
    _announce(manifest, along, tags, actor)
    touch_repository_locked(repository_id, now)
    return DeletedArtifact(names, tuple(each.digest for each in along.manifests))


def _announce(
    manifest: ReservedManifest, along: Belongings, tags: list[LiveTag], actor: Actor
) -> None:
    """Record the deletion with the counts of what went along; announce each tag and manifest."""
    repository_id, repository_name, project_id, manifest_id, digest = manifest
    names: dict[Digest, list[str]] = {}
    for tag in tags:
        names.setdefault(tag.digest, []).append(tag.name)
    own = names.get(digest, [])
    children = sum(each.is_child for each in along.manifests)
    counts = {
        "children": children,
        "accessories": len(along.manifests) - children,
        "accessory_tags": len(tags) - len(own),
    }
    audit.record(
        "artifact.deleted",
        actor,
        target_kind="artifact",
        target_label=f"{repository_name}@{digest}",
        target_id=manifest_id,
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={
            "digest": str(digest),
            "tags": own,
            **{name: count for name, count in counts.items() if count},
        },
    )
    where = (repository_id, repository_name, project_id)
    for tag in tags:
        publish(TagDeleted(*where, tag.name, str(tag.digest), actor.label))
    for gone in (digest, *(each.digest for each in along.manifests)):
        publish(ArtifactDeleted(*where, str(gone), tuple(names.get(gone, ())), actor.label))
