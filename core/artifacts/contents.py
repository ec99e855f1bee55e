"""Reading stored blobs for people: small ones, and always within bounds.

What clients pull goes another way (``registry_api``). The storage may be a bucket, where every
read is a request.
"""

from collections.abc import Iterator
from typing import Final

from core.artifacts.errors import BlobUnknown, ContentNotShown
from core.blobs.models import Blob
from core.storage.errors import BlobMissing
from core.storage.selection import driver_of

PIECE_BYTES: Final = 256 << 10


def read_blob(blob: Blob, *, maximum_bytes: int) -> bytes:
    """Return the bytes of a blob.

    Raises ``ContentNotShown`` for one that is larger than the maximum, ``BlobUnknown`` for one
    that is damaged, and ``StorageFailed``.
    """
    return b"".join(read_pieces(blob, maximum_bytes=maximum_bytes))


def read_pieces(blob: Blob, *, maximum_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of a blob piece by piece. Raises the same as ``read_blob``."""
    if blob.size_bytes > maximum_bytes:
        raise ContentNotShown(
            f"The content has {blob.size_bytes} bytes; at most {maximum_bytes} are shown."
        )
    if blob.damaged_at is not None:
        raise BlobUnknown
    try:
        reader = driver_of(blob.store).open_blob(blob.storage_key)
    except BlobMissing as error:
        raise BlobUnknown from error
    try:
        offset = 0
        while offset < blob.size_bytes:
            piece = reader.read(offset, min(PIECE_BYTES, blob.size_bytes - offset))
            if not piece:
                raise BlobUnknown
            offset += len(piece)
            yield piece
    finally:
        reader.close()
