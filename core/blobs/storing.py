"""How a stored object becomes a blob, joins one that exists, or heals one that is damaged."""

from typing import NamedTuple

from core.blobs.errors import BlobRowChanged
from core.blobs.rules import StoredCopy, judge_copy
from core.common.clock import now
from core.database import raw
from core.oci.digest import Digest
from core.storage.types import StorageDriver


class ExaminedBlob(NamedTuple):
    """A blob's row as it was seen, and whether its object was sound at that moment."""

    storage_key: str
    copy: StoredCopy


class BlobRow(NamedTuple):
    """A blob's row, held by the current transaction so that nobody removes it."""

    id: int
    storage_key: str


def examine_blob(digest: Digest, driver: StorageDriver) -> ExaminedBlob | None:
    """Look at the blob that holds the digest already. Touches storage: not in a transaction."""
    row = raw.fetch_one(
        "SELECT storage_key, size_bytes FROM blobs_blob WHERE digest = %s",
        (digest.to_bytes(),),
    )
    if row is None:
        return None
    storage_key, size_bytes = row
    copy = judge_copy(recorded_bytes=size_bytes, stored_bytes=driver.stat(storage_key))
    return ExaminedBlob(storage_key, copy)


def store_blob_locked(
    digest: Digest, *, size_bytes: int, storage_key: str, examined: ExaminedBlob | None
) -> BlobRow:
    """Make the object under ``storage_key`` count, in the caller's transaction.

    A new digest gets a row. A sound blob stays as it is, and the returned key is not ours. A
    damaged one is pointed at our object. Raises BlobRowChanged when the row is not the
    examined one any more.
    """
    if examined is None:
        inserted = raw.fetch_one(
            "INSERT INTO blobs_blob (digest, size_bytes, storage_key, created_at)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING RETURNING id",
            (digest.to_bytes(), size_bytes, storage_key, now()),
        )
        if inserted is None:
            raise BlobRowChanged
        return BlobRow(inserted[0], storage_key)
    if examined.copy is StoredCopy.SOUND:
        # KEY SHARE keeps the row from being deleted or pointed elsewhere until we commit.
        shared = raw.fetch_one(
            "SELECT id FROM blobs_blob WHERE digest = %s AND storage_key = %s FOR KEY SHARE",
            (digest.to_bytes(), examined.storage_key),
        )
        if shared is None:
            raise BlobRowChanged
        return BlobRow(shared[0], examined.storage_key)
    healed = raw.fetch_one(
        "UPDATE blobs_blob SET storage_key = %s, size_bytes = %s"
        " WHERE digest = %s AND storage_key = %s RETURNING id",
        (storage_key, size_bytes, digest.to_bytes(), examined.storage_key),
    )
    if healed is None:
        raise BlobRowChanged
    return BlobRow(healed[0], storage_key)
