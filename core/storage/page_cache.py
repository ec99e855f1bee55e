"""Reading much without pushing out of memory what others read often.

What is read in passing, as when content is compared with its digest, would otherwise take the
place of the layers that everybody pulls. All of this is advice to the kernel: where it cannot be
given, nothing but speed is lost.
"""

import ctypes
import mmap
import os
from contextlib import suppress
from typing import Final

from core.storage.types import BlobReader

WINDOW_BYTES: Final = 64 << 20
"""How much of a file is asked about at a time; a multiple of every size of pages."""

# The other bits of a page's state are reserved.
_LOWEST_BIT: Final = bytes(state & 1 for state in range(256))
_MAP_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int64,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def is_mostly_cached(descriptor: int, size: int) -> bool:
    """Say whether at least half of a file is in memory, without reading any of it."""
    pages = -(-size // mmap.PAGESIZE)
    cached = sum(
        _cached_pages(descriptor, offset, min(WINDOW_BYTES, size - offset))
        for offset in range(0, size, WINDOW_BYTES)
    )
    return pages > 0 and 2 * cached >= pages


def _cached_pages(descriptor: int, offset: int, length: int) -> int:
    address = _libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)
    if address in (None, _MAP_FAILED):
        return 0
    try:
        states = ctypes.create_string_buffer(-(-length // mmap.PAGESIZE))
        if _libc.mincore(address, length, states) != 0:
            return 0
        return states.raw.translate(_LOWEST_BIT).count(1)
    finally:
        _libc.munmap(address, length)


class PassingRead:
    """Reads a blob once from its beginning, and leaves it in memory only if it was there."""

    def __init__(self, reader: BlobReader) -> None:
        """Look at what is in memory, so before anything is read. The reader stays the caller's."""
        self._reader = reader
        self._offset = 0
        file = reader.file
        is_cold = file is not None and not is_mostly_cached(file.fileno(), reader.size)
        self._cold_file = file if is_cold else None

    def read(self, length: int) -> bytes:
        """Return the next ``length`` bytes, fewer only at the end. Raises StorageFailed."""
        piece = self._reader.read(self._offset, length)
        self._offset += len(piece)
        if self._cold_file is not None:
            # Up to its end after the last piece: the kernel has read ahead.
            read_bytes = self._offset if len(piece) == length else 0
            with suppress(OSError):
                os.posix_fadvise(self._cold_file.fileno(), 0, read_bytes, os.POSIX_FADV_DONTNEED)
        return piece
