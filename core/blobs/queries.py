"""Reads over all blobs: what the storages hold by the word of the rows."""

from collections.abc import Sequence
from typing import NamedTuple

from core.database import raw

_USAGE = """
SELECT store, sum(blobs)::bigint, sum(bytes)::bigint, sum(uploads)::bigint, sum(condemned)::bigint
  FROM (SELECT store, count(*) AS blobs, sum(size_bytes) AS bytes, 0 AS uploads, 0 AS condemned
          FROM blobs_blob GROUP BY store
        UNION ALL
        SELECT store, 0, 0, count(*), 0 FROM blobs_upload
         WHERE committed_digest IS NULL AND expires_at > clock_timestamp() GROUP BY store
        UNION ALL
        SELECT store, 0, 0, 0, count(*) FROM blobs_condemnedobject GROUP BY store) AS counted
 GROUP BY store ORDER BY store
"""


class StoreUsage(NamedTuple):
    """What rows say of one storage: blobs with their bytes, and objects that come and go."""

    store: str
    blobs: int
    bytes: int
    uploads: int
    """Uploads in progress."""
    condemned: int
    """Objects that are removed before long."""


class BlobPlace(NamedTuple):
    """Which blob an object is said to be."""

    id: int
    store: str
    storage_key: str
    size_bytes: int


def list_usage() -> list[StoreUsage]:
    """Return the usage of every storage that some row names, in the order of names."""
    return [StoreUsage(*row) for row in raw.fetch_all(_USAGE)]


def usage_of(store: str) -> StoreUsage:
    """Return the usage of one storage."""
    unused = StoreUsage(store, 0, 0, 0, 0)
    return next((usage for usage in list_usage() if usage.store == store), unused)


def total_bytes() -> int:
    """Return how many bytes all blobs have."""
    return sum(usage.bytes for usage in list_usage())


def find_places(keys: Sequence[str]) -> list[BlobPlace]:
    """Return the blobs that stand on any of these keys."""
    query = (
        "SELECT id, store, storage_key, size_bytes FROM blobs_blob"
        " WHERE storage_key = ANY(%s::text[])"
    )
    return [BlobPlace(*row) for row in raw.fetch_all(query, (list(keys),))]
