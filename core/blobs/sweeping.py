"""Finding and removing the bytes of expired uploads, and objects without a row.

Why this never takes a live blob's bytes: a storage key belongs to one upload for ever. A blob
row gets its key only in the transaction that marks this upload committed, under a claim. The
sweeper claims the upload first, which ends every other claim, and then looks for the blob row.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TypeVar

from core.blobs.types import UploadClaim
from core.database import raw
from core.storage.types import StorageDriver, StoredObject

_BATCH = 1_000

Item = TypeVar("Item")


def remove_bytes(claim: UploadClaim, driver: StorageDriver) -> None:
    """Remove what the claimed upload left, unless a blob stands on it or it is condemned.

    A condemned object has a row and a time of its own: it is what a blob stood on.
    """
    driver.abort(claim.storage_key, claim.checkpoint.storage_state)
    if not _is_blob(claim.storage_key) and not _is_condemned(claim.storage_key):
        driver.delete(claim.storage_key)


def _is_blob(storage_key: str) -> bool:
    query = "SELECT 1 FROM blobs_blob WHERE storage_key = %s"
    return raw.fetch_one(query, (storage_key,)) is not None


def _is_condemned(storage_key: str) -> bool:
    query = "SELECT 1 FROM blobs_condemnedobject WHERE storage_key = %s"
    return raw.fetch_one(query, (storage_key,)) is not None


def remove_condemned(storage_key: str, driver: StorageDriver) -> None:
    """Remove a condemned object, finished or not, unless a blob stands on it after all."""
    driver.abort(storage_key, driver.start(storage_key))
    if not _is_blob(storage_key):
        driver.delete(storage_key)


def find_strays(stored: Iterable[StoredObject], ripe_before: datetime) -> tuple[list[str], int]:
    """Return the keys without a row among the ripe objects, and how many objects there are."""
    strays: list[str] = []
    objects = 0
    for batch in batches(stored):
        objects += len(batch)
        strays += without_row([item.key for item in batch if item.modified_at < ripe_before])
    return strays, objects


def without_row(keys: list[str]) -> list[str]:
    """Return those keys that no upload, no blob and no condemned object has."""
    if not keys:
        return []
    rows = raw.fetch_all(
        "SELECT key FROM unnest(%s::text[]) AS key"
        " WHERE NOT EXISTS (SELECT 1 FROM blobs_upload u WHERE u.storage_key = key)"
        " AND NOT EXISTS (SELECT 1 FROM blobs_blob b WHERE b.storage_key = key)"
        " AND NOT EXISTS (SELECT 1 FROM blobs_condemnedobject c WHERE c.storage_key = key)",
        (keys,),
    )
    return [key for (key,) in rows]


def batches(listed: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield what a listing gives in lists of a size that suits one statement."""
    iterator = iter(listed)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
