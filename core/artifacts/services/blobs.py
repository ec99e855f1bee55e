"""Blobs of repositories: uploads that end as one, mounts, deletes and leases."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from core.artifacts import queries, rules
from core.artifacts.errors import BlobUnknown, ContentInUse, OutcomeUncertain
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.services.repositories import (
    obtain_repository_locked,
    reserve_repository_locked,
)
from core.artifacts.types import PendingWrite, StoredBlob
from core.audit import services as audit
from core.blobs.errors import BlobRowChanged, UploadTaken
from core.blobs.rules import StoredCopy
from core.blobs.services import find_upload
from core.blobs.sessions import UploadSession
from core.blobs.storing import (
    ExaminedBlob,
    StoredAt,
    examine_blob,
    examine_copy,
    store_upload_locked,
)
from core.common import clock, failpoints
from core.database import raw
from core.database.statements import Statement
from core.database.transactions import durable_write
from core.oci.digest import Digest
from core.oci.entity_tags import parse_entity_tags
from core.quotas.errors import QuotaExceeded
from core.rbac.types import Actor

MAXIMUM_MOUNT_CANDIDATES = 50
"""How many repositories are considered when a mount names no source."""

_COMMIT_ATTEMPTS = 20

# Manifests that came before the blob are bound to it at once. The subquery keeps the digest from
# the planner: of one that nearly all manifests name it would expect that as many wait for it, and
# look through all children of indexes instead.
_LINK = Statement(
    "repository_link_blob",
    """
WITH bound AS (
     UPDATE artifacts_manifestreference SET blob_id = $2
      WHERE blob_id IS NULL AND id = ANY(ARRAY(
            SELECT waiting.id FROM artifacts_manifestreference waiting
             CROSS JOIN LATERAL
                   (SELECT repository_id FROM artifacts_manifest
                     WHERE id = waiting.parent_id LIMIT 1) parent
             WHERE parent.repository_id = $1
               AND waiting.digest = (SELECT $5::bytea) AND waiting.size_bytes = $6
               AND waiting.blob_id IS NULL AND waiting.child_id IS NULL
               AND waiting.role IN ('config', 'layer'))))
INSERT INTO artifacts_repositoryblob AS link (repository_id, blob_id, leased_until, pushed_by)
VALUES ($1, $2, $3, $4)
ON CONFLICT (repository_id, blob_id) DO UPDATE
   SET leased_until = greatest(link.leased_until, excluded.leased_until)
""",
)

_FIND_LINKED_BLOB = """
SELECT b.id, b.size_bytes, b.store, b.storage_key, r.project_id, p.is_public
  FROM (SELECT id, project_id FROM artifacts_repository WHERE name = %s LIMIT 1) r
 CROSS JOIN LATERAL
       (SELECT is_public FROM projects_project WHERE id = r.project_id LIMIT 1) p
 CROSS JOIN blobs_blob b
 CROSS JOIN LATERAL
       (SELECT FROM artifacts_repositoryblob
         WHERE repository_id = r.id AND blob_id = b.id LIMIT 1) l
 WHERE b.digest = %s AND b.damaged_at IS NULL
"""
_SHARED = "FOR KEY SHARE OF l, b"

_LOCK_LINK = """
SELECT id, blob_id FROM artifacts_repositoryblob
 WHERE repository_id = %s AND blob_id = (SELECT id FROM blobs_blob WHERE digest = %s)
   FOR UPDATE
"""

_FIND_USER_OF_BLOB = """
SELECT m.digest
  FROM artifacts_manifestreference f JOIN artifacts_manifest m ON m.id = f.parent_id
 WHERE f.blob_id = %s AND m.repository_id = %s LIMIT 1
"""

_RENEW = """
UPDATE artifacts_repositoryblob SET leased_until = greatest(leased_until, %s)
 WHERE repository_id = %s AND blob_id = %s
"""


def finish_upload(session: UploadSession, digest: Digest, *, actor: Actor) -> StoredBlob:
    """End an upload as a blob of its repository, which is created if need be.

    The bytes are durable before the row is. Content that the registry has already is kept
    once, and heals a stored copy that is missing or damaged. Raises DigestMismatch and
    QuotaExceeded (the upload is gone then), UploadUnknown, UploadTaken, NameUnknown when the
    project was deleted, and OutcomeUncertain when the database broke off while committing; the
    upload stays then, and the same request may be repeated.
    """
    session.complete(digest)
    failpoints.reach("upload.commit.before_transaction")
    # Most uploads bring what is new; the commit notices if this one does not.
    examined: ExaminedBlob | None = None
    for _attempt in range(_COMMIT_ATTEMPTS):
        try:
            blob = _commit_upload(session, digest, examined, actor=actor)
        except BlobRowChanged:
            examined = examine_blob(digest)
            continue
        except QuotaExceeded:
            session.discard()
            raise
        except (OperationalError, InterfaceError) as error:
            # The object stays: a row that did get through may stand on it.
            connection.close_if_unusable_or_obsolete()
            raise OutcomeUncertain from error
        failpoints.reach("upload.commit.after_transaction")
        session.settle(keep_object=blob.storage_key == session.claim.storage_key)
        return blob
    raise UploadTaken


@durable_write
def _commit_upload(
    session: UploadSession, digest: Digest, examined: ExaminedBlob | None, *, actor: Actor
) -> StoredBlob:
    now = clock.now()
    name, project_id, size_bytes = (
        session.repository_name,
        session.project_id,
        session.size_bytes,
    )
    repository_id = obtain_repository_locked(name, project_id=project_id, actor=actor, now=now)
    row = store_upload_locked(
        session.claim, digest, size_bytes=size_bytes, examined=examined, actor=actor
    )
    blob = _link_blob_locked(
        StoredBlob(row.id, digest, size_bytes, *row.stored, now + rules.LEASE),
        repository_id=repository_id,
        repository_name=name,
        project_id=project_id,
        action="blob.push",
        actor=actor,
    )
    failpoints.reach("upload.commit.in_transaction")
    return blob


def find_committed_upload(
    upload_id: UUID, repository_name: str, owner: str, digest: Digest
) -> bool:
    """Tell whether the upload ended as that blob within the last hour, and the blob is there.

    So a closing request that is repeated, because its answer got lost or two were sent at
    once, is answered as the first one was, unless the blob was deleted since.
    """
    facts = find_upload(upload_id, repository_name=repository_name, owner=owner)
    if facts is None or facts.committed_digest != digest:
        return False
    return find_sound_blob(repository_name, digest) is not None


def mount_blob(
    digest: Digest,
    *,
    source: str | None,
    target_name: str,
    project_id: int,
    actor: Actor,
    readable: Callable[[str], bool],
) -> StoredBlob | None:
    """Make a blob of one repository a blob of another, without touching its bytes.

    ``readable`` tells whether the actor may pull from a repository. Without a ``source`` the
    first readable repository that has the blob serves, the target's project before others.
    None when there is none, or it is damaged, so that the client's own upload heals it; a
    source that is unreadable, unknown or without the blob cannot be told apart. Raises
    NameUnknown when the target's project is gone.
    """
    if source is not None:
        candidates = [source]
    else:
        candidates = queries.find_mount_sources(
            digest,
            target_name=target_name,
            project_id=project_id,
            limit=MAXIMUM_MOUNT_CANDIDATES,
        )
    for candidate in candidates:
        if not readable(candidate):
            continue
        # A mount that finds nothing must not create the repository, and nobody should be told
        # that content is there which is not.
        stored = find_sound_blob(candidate, digest)
        if stored is None:
            # All repositories that have the blob share one object.
            return None
        try:
            return mount_stored_blob(
                digest, candidate, stored, target_name, project_id, actor=actor
            )
        except BlobRowChanged:
            continue
    return None


def find_sound_blob(repository_name: str, digest: Digest) -> StoredAt | None:
    """Return where the repository's blob is stored, None when it is missing or damaged.

    Touches storage: not in a transaction.
    """
    found = raw.fetch_one(_FIND_LINKED_BLOB, (repository_name, digest.to_bytes()))
    if found is None:
        return None
    _, size_bytes, store, storage_key, *_ = found
    stored = StoredAt(store, storage_key)
    is_sound = examine_copy(stored, size_bytes, is_marked=False) is StoredCopy.SOUND
    return stored if is_sound else None


@durable_write
def mount_stored_blob(
    digest: Digest,
    source: str,
    stored: StoredAt,
    target_name: str,
    project_id: int,
    *,
    actor: Actor,
) -> StoredBlob:
    """Mount a blob that was found sound (``find_sound_blob``) in the repository ``source``.

    Raises BlobRowChanged when it is not there any more, or elsewhere.
    """
    now = clock.now()
    # The repository must be locked before the link, as everywhere.
    repository_id = obtain_repository_locked(
        target_name, project_id=project_id, actor=actor, now=now
    )
    found = raw.fetch_one(_FIND_LINKED_BLOB + _SHARED, (source, digest.to_bytes()))
    if found is None or stored != tuple(found[2:4]):
        raise BlobRowChanged
    blob_id, size_bytes, store, storage_key, source_project_id, is_public = found
    # Entries are shown to the target project's administrators, who may not know of the other.
    is_known = is_public or source_project_id == project_id
    return _link_blob_locked(
        StoredBlob(blob_id, digest, size_bytes, store, storage_key, now + rules.LEASE),
        repository_id=repository_id,
        repository_name=target_name,
        project_id=project_id,
        action="blob.mount",
        actor=actor,
        detail={"source": source} if is_known else {},
    )


@durable_write
def delete_blob(
    repository_name: str, digest: Digest, *, if_match: str | None = None, actor: Actor
) -> None:
    """Take a blob out of a repository; others that have it keep it.

    Raises NameUnknown, BlobUnknown, PreconditionFailed when the header ``if_match`` does not
    name it, EntityTagsInvalid, and ContentInUse while a manifest of the repository names it.
    """
    wanted = None if if_match is None else parse_entity_tags(if_match)
    repository_id, project_id = reserve_repository_locked(repository_name)
    link = raw.fetch_one(_LOCK_LINK, (repository_id, digest.to_bytes()))
    if link is None:
        raise BlobUnknown
    rules.require_precondition(wanted, None, digest)
    user = raw.fetch_one(_FIND_USER_OF_BLOB, (link[1], repository_id))
    if user is not None:
        manifest = Digest.from_bytes(bytes(user[0]))
        raise ContentInUse(f"The blob is in use by manifest {manifest}.")
    ask_gatekeepers(
        PendingWrite(
            action="blob.delete",
            actor=actor,
            project_id=project_id,
            repository_id=repository_id,
            repository_name=repository_name,
            digest=digest,
        )
    )
    raw.execute("DELETE FROM artifacts_repositoryblob WHERE id = %s", (link[0],))
    audit.record(
        "blob.deleted",
        actor,
        target_kind="blob",
        target_label=f"{repository_name}@{digest}",
        target_id=link[1],
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
    )


def renew_lease(repository_id: int, blob: StoredBlob, *, now: datetime | None = None) -> bool:
    """Give a pusher who is told that the blob is there time to name it in a manifest.

    For leases that ``rules.needs_renewal`` picks. False when the blob has left the repository
    meanwhile: it must be answered as unknown, so that the client uploads it.
    """
    leased_until = (now or clock.now()) + rules.LEASE
    return bool(raw.execute(_RENEW, (leased_until, repository_id, blob.id)))


def _link_blob_locked(
    blob: StoredBlob,
    *,
    repository_id: int,
    repository_name: str,
    project_id: int,
    action: str,
    actor: Actor,
    detail: dict[str, str] | None = None,
) -> StoredBlob:
    """Let the repository serve the blob and lease it, after asking the gatekeepers."""
    ask_gatekeepers(
        PendingWrite(
            action=action,
            actor=actor,
            project_id=project_id,
            repository_id=repository_id,
            repository_name=repository_name,
            digest=blob.digest,
            size_bytes=blob.size_bytes,
        )
    )
    serve_blob_locked(repository_id, blob, leased_until=blob.leased_until, actor=actor)
    audit.record(
        "blob.pushed" if action == "blob.push" else "blob.mounted",
        actor,
        target_kind="blob",
        target_label=f"{repository_name}@{blob.digest}",
        target_id=blob.id,
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={"size_bytes": blob.size_bytes, **(detail or {})},
    )
    return blob


def serve_blob_locked(
    repository_id: int, blob: StoredBlob, *, leased_until: datetime, actor: Actor
) -> None:
    """Link a blob to a repository, and bind what waits for it there."""
    _LINK.execute_later(
        repository_id,
        blob.id,
        leased_until,
        actor.subject,
        blob.digest.to_bytes(),
        blob.size_bytes,
    )
