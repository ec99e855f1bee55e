"""Ask the kernel to begin writing to disk, so that the sync at the end finds little to do.

Without it, gigabytes may lie in memory when the last byte of an upload arrives, and the
client waits half a minute for its answer. This is a hint: it never waits for the disk,
promises nothing, and reports no error, because the sync that follows reports them all.
"""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

WINDOW_BYTES = 512 << 10
"""How many freshly written bytes are handed to the disk at a time."""

_SYNC_FILE_RANGE_WRITE = 2


def _load_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Return the Linux call, which the ``os`` module lacks; None on other systems."""
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    function.restype = ctypes.c_int
    call: Callable[[int, int, int, int], int] = function
    return call


_sync_file_range = _load_sync_file_range()


def begin_writeback(descriptor: int, offset: int, length: int) -> None:
    """Start writing that range of the file to disk and return at once.

    Where the kernel lacks the exact call, POSIX_FADV_DONTNEED stands in: it starts the same
    writing, and forgets only such pages as are on disk already.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)
        return
    with suppress(OSError):
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
