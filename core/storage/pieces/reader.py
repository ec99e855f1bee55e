"""Reading a blob range by range, ahead of a caller that goes from start to end."""

import threading

from core.storage.errors import BlobMissing, StorageFailed
from core.storage.pieces.service import PieceService

_AHEAD = 4
"""How many times what was asked for is fetched. A slow client asks for little, so that many of
them hold little memory; a fast one gets by with few requests."""


class PiecesReader:
    """Reads one blob. See ``BlobReader``. Threads may share it; they take turns."""

    def __init__(self, service: PieceService, key: str) -> None:
        """Open the blob. Raises BlobMissing."""
        facts = service.head(key)
        if facts is None:
            raise BlobMissing
        self._service = service
        self._key = key
        self._facts = facts
        self._lock = threading.Lock()
        self._held = b""
        self._held_from = 0
        self._read_up_to = 0
        self._is_closed = False

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._facts.size

    @property
    def file(self) -> None:
        """None: there is no file."""
        return None

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only at the end of the object."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        with self._lock:
            if self._is_closed:
                raise StorageFailed("This reader is closed.", retry_after_seconds=5)
            piece = self._take(offset, end)
            self._read_up_to = end
        return piece

    def close(self) -> None:
        """Drop what was read ahead. May be repeated."""
        with self._lock:
            self._is_closed = True
            self._held = b""

    def _take(self, offset: int, end: int) -> bytes:
        """Return the bytes from ``offset`` up to ``end``, from what is held if it has them."""
        begin = offset - self._held_from
        piece = self._held[begin : begin + end - offset] if begin >= 0 else b""
        missing = end - offset - len(piece)
        if not missing:
            return piece
        self._held = b""
        fetch_to = end
        if offset == self._read_up_to:
            fetch_to = min(self.size, end - missing + _AHEAD * (end - offset))
        fetched = self._fetch(offset + len(piece), fetch_to)
        self._held, self._held_from = fetched, offset + len(piece)
        return piece + fetched[:missing]

    def _fetch(self, start: int, end: int) -> bytes:
        fetched = self._service.read(self._key, self._facts.version, start, end)
        if len(fetched) != end - start:
            raise StorageFailed("The blob storage ended its answer early.", retry_after_seconds=5)
        return fetched
