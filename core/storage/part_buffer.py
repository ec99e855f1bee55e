"""Bytes of the part that comes next, in memory while there is room, else in a file.

A part is sent with its length and its signature or checksum in front, so it must be whole
before the first byte leaves. The file has no name and vanishes with the process; nothing relies
on it.
"""

import os
import tempfile
import threading
from typing import IO, Self

from core.storage.types import BytesLike

_COPY_BYTES = 1 << 20


class BufferMemory:
    """What all buffers of a process may take in memory together."""

    def __init__(self, limit_bytes: int) -> None:
        self._lock = threading.Lock()
        self._left = limit_bytes

    @property
    def left_bytes(self) -> int:
        """How much is free."""
        return self._left

    def take(self, length: int) -> bool:
        """Reserve ``length`` bytes if there are so many."""
        with self._lock:
            if length > self._left:
                return False
            self._left -= length
            return True

    def give_back(self, length: int) -> None:
        """Return what was taken."""
        with self._lock:
            self._left += length


class PartBuffer:
    """Collects bytes in order. For one thread at a time; end with ``close``."""

    def __init__(self, memory: BufferMemory) -> None:
        self._memory = memory
        self._bytes = bytearray()
        self._file: IO[bytes] | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    def append(self, data: BytesLike) -> None:
        """Add ``data`` at the end. Raises OSError when the file cannot take it."""
        length = len(data)
        if self._file is None and self._memory.take(length):
            self._bytes += data
        else:
            self._in_file().write(data)
        self._size += length

    def append_all(self, other: Self) -> None:
        """Add the bytes of another buffer, which stays as it is."""
        body = other.body()
        if isinstance(body, bytearray):
            self.append(body)
            return
        while piece := body.read(_COPY_BYTES):
            self.append(piece)

    def split(self, length: int) -> Self:
        """Keep the first ``length`` bytes and return a buffer with the others."""
        rest = type(self)(self._memory)
        body = self.body()
        if isinstance(body, bytearray):
            if len(body) > length:
                with memoryview(body) as view:
                    rest.append(view[length:])
                del body[length:]
                self._memory.give_back(self._size - length)
        else:
            body.seek(length)
            while piece := body.read(_COPY_BYTES):
                rest.append(piece)
            body.truncate(length)
        self._size = min(length, self._size)
        return rest

    def body(self) -> bytearray | IO[bytes]:
        """Return the bytes as what a request can carry; they stay this buffer's own."""
        if self._file is None:
            return self._bytes
        self._file.flush()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop the bytes. May be repeated."""
        if self._file is None:
            self._memory.give_back(len(self._bytes))
        else:
            self._file.close()
        self._bytes, self._file, self._size = bytearray(), None, 0

    def _in_file(self) -> IO[bytes]:
        """Return the file, at its end, moving there what is in memory."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="roadstead-part-")  # noqa: SIM115
            self._file.write(self._bytes)
            self._memory.give_back(len(self._bytes))
            self._bytes = bytearray()
        self._file.seek(0, os.SEEK_END)
        return self._file
