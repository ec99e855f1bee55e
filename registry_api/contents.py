"""The small blobs that this process served last, kept in memory.

Configs of images are asked for again and again, and reading one takes a thread longer than
everything else. What lies under a storage key never changes, so nothing has to be cleared;
whether a repository still has the blob is looked up for each request.
"""

import threading
from collections import OrderedDict
from typing import Final

from core.artifacts.types import StoredBlob
from core.storage.errors import BlobMissing, StorageFailed, StorageMisconfigured
from core.storage.selection import driver_of
from core.storage.types import StorageDriver
from registry_api.threads import Work, in_thread

SMALL_BYTES: Final = 64 << 10
"""A blob up to this size is kept once it has been read."""

MAXIMUM_BYTES: Final = 16 << 20
"""How many bytes are kept in all."""


class Contents:
    """Bytes by storage key; the least recently used fall out."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._guard = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        """Return the bytes under the key, None when they are not kept."""
        with self._guard:
            content = self._kept.get(key)
            if content is not None:
                self._kept.move_to_end(key)
            return content

    def put(self, key: str, content: bytes) -> None:
        """Keep the bytes, and let go of what no longer fits."""
        with self._guard:
            if key in self._kept:
                return
            self._kept[key] = content
            self._bytes += len(content)
            while self._bytes > self._maximum_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)


_CONTENTS: Final = Contents(MAXIMUM_BYTES)


async def small_content(blob: StoredBlob) -> bytes | None:
    """Return the bytes of a small local blob; None leaves the answer to the careful path."""
    if blob.size_bytes > SMALL_BYTES or blob.is_damaged:
        return None
    content = _CONTENTS.get(blob.storage_key)
    if content is not None and len(content) == blob.size_bytes:
        return content
    try:
        driver = driver_of(blob.store)
    except StorageMisconfigured:
        return None
    return await in_thread(Work.TRANSFER, _read, driver, blob) if driver.reads_are_quick else None


def _read(driver: StorageDriver, blob: StoredBlob) -> bytes | None:
    """Read a blob and keep it, unless it is damaged: that must not outlive its repair."""
    try:
        reader = driver.open_blob(blob.storage_key)
        try:
            content = reader.read(0, blob.size_bytes) if reader.size == blob.size_bytes else b""
        finally:
            reader.close()
    except (BlobMissing, StorageFailed):
        return None
    if not blob.digest.matches(content):
        return None
    _CONTENTS.put(blob.storage_key, content)
    return content
