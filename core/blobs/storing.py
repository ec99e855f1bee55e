"""How a stored object becomes a blob, joins one that exists, or heals one that is damaged."""

from datetime import timedelta
from typing import NamedTuple

from core.audit import services as audit
from core.blobs import claims
from core.blobs.errors import BlobRowChanged
from core.blobs.rules import StoredCopy, judge_copy
from core.blobs.types import UploadClaim
from core.common.clock import now
from core.database import raw
from core.database.statements import Statement
from core.oci.digest import Digest
from core.rbac.types import Actor
from core.storage.errors import StorageMisconfigured
from core.storage.selection import driver_of

KEPT_FOR = timedelta(hours=24)
"""How long an object that no blob stands on any more waits for those who still read it.

Longer than a link to it works and than any download should take.
"""


_EXAMINE = Statement(
    "blob_examine",
    "SELECT store, storage_key, size_bytes, damaged_at IS NOT NULL"
    " FROM blobs_blob WHERE digest = $1",
)

# KEY SHARE keeps the row from being deleted or pointed elsewhere until we commit.
_SHARE = Statement(
    "blob_share",
    "SELECT id FROM blobs_blob"
    " WHERE digest = $1 AND storage_key = $2 AND damaged_at IS NULL FOR KEY SHARE",
)


class StoredAt(NamedTuple):
    """Where an object is: the name of the storage, and its key there."""

    store: str
    storage_key: str


class ExaminedBlob(NamedTuple):
    """A blob's row as it was seen, and whether its object was sound at that moment."""

    stored: StoredAt
    copy: StoredCopy


class BlobRow(NamedTuple):
    """A blob's row, held by the current transaction so that nobody removes it."""

    id: int
    stored: StoredAt


def examine_blob(digest: Digest) -> ExaminedBlob | None:
    """Look at the blob that holds the digest already. Touches storage: not in a transaction."""
    row = _EXAMINE.fetch_one(digest.to_bytes())
    if row is None:
        return None
    store, storage_key, size_bytes, is_marked = row
    stored = StoredAt(store, storage_key)
    return ExaminedBlob(stored, examine_copy(stored, size_bytes, is_marked=is_marked))


def examine_copy(stored: StoredAt, size_bytes: int, *, is_marked: bool) -> StoredCopy:
    """Look at the object that a row names. Touches storage: not in a transaction.

    What is lost with a whole storage is healed by pushes like any other loss.
    """
    try:
        stored_bytes = driver_of(stored.store).stat(stored.storage_key)
    except StorageMisconfigured:
        stored_bytes = None
    return judge_copy(recorded_bytes=size_bytes, stored_bytes=stored_bytes, is_marked=is_marked)


def store_upload_locked(
    claim: UploadClaim,
    digest: Digest,
    *,
    size_bytes: int,
    examined: ExaminedBlob | None,
    actor: Actor,
) -> BlobRow:
    """End the upload, and make its object count, in the caller's transaction.

    A new digest gets a row. A sound blob stays as it is, and the returned place is not ours. A
    damaged one is pointed at our object, and the actor has healed it. Raises UploadTaken or
    UploadUnknown when the claim was lost, and BlobRowChanged when the row is not the examined
    one any more.
    """
    stored = StoredAt(claim.store, claim.storage_key)
    if examined is None:
        new_id = claims.commit_as_new_locked(claim, digest, size_bytes=size_bytes, now=now())
        if new_id is None:
            raise BlobRowChanged
        return BlobRow(new_id, stored)
    claims.mark_committed_locked(claim, digest)
    if examined.copy is StoredCopy.SOUND:
        shared = _SHARE.fetch_one(digest.to_bytes(), examined.stored.storage_key)
        if shared is None:
            raise BlobRowChanged
        return BlobRow(shared[0], examined.stored)
    return BlobRow(_heal_locked(digest, size_bytes, stored, examined.stored, actor), stored)


def _heal_locked(
    digest: Digest, size_bytes: int, stored: StoredAt, damaged: StoredAt, actor: Actor
) -> int:
    """Point the blob at our object; return its id."""
    healed = raw.fetch_one(
        "UPDATE blobs_blob SET store = %s, storage_key = %s, size_bytes = %s,"
        " verified_at = %s, damaged_at = NULL"
        " WHERE digest = %s AND storage_key = %s RETURNING id",
        (*stored, size_bytes, now(), digest.to_bytes(), damaged.storage_key),
    )
    if healed is None:
        raise BlobRowChanged
    condemn_locked(damaged)
    audit.record(
        "blob.healed",
        actor,
        target_kind="blob",
        target_label=str(digest),
        target_id=healed[0],
        detail={"by": "push"},
    )
    return int(healed[0])


def condemn_locked(stored: StoredAt, *, kept_for: timedelta = KEPT_FOR) -> None:
    """Have an object removed after that time, in the transaction that takes it from its blob."""
    moment = now()
    raw.execute(
        "INSERT INTO blobs_condemnedobject (storage_key, store, condemned_at, kept_until)"
        " VALUES (%s, %s, %s, %s)",
        (stored.storage_key, stored.store, moment, moment + kept_for),
    )
