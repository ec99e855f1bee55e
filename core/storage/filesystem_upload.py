"""The writer of the filesystem driver, and the opening of an unfinished file under a lock.

Whoever writes or commits holds an exclusive lock on the file. Positioned writes of two
processes would otherwise mix in one file, and the hash, taken from memory, would not show it.
The kernel drops the lock when its holder dies, so a crash blocks nobody.
"""

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.common import failpoints
from core.storage.errors import StorageFailed, UploadBusy, UploadMissing, translated
from core.storage.layout import FILE_MODE, sync_directory
from core.storage.types import BytesLike, UploadState
from core.storage.writeback import WINDOW_BYTES, begin_writeback

DRIVER_NAME = "filesystem"


@dataclass(frozen=True, slots=True)
class FileState:
    """What the upload state of this driver says.

    ``synced_bytes``: so many bytes of the file are known to be on disk.
    ``is_named``: the file's name is on disk too, not only its content.
    """

    synced_bytes: int = 0
    is_named: bool = False

    def to_json(self) -> UploadState:
        """Return the JSON object that callers keep."""
        return {
            "driver": DRIVER_NAME,
            "synced_bytes": self.synced_bytes,
            "is_named": self.is_named,
        }

    @classmethod
    def from_json(cls, state: UploadState) -> "FileState":
        """Read a state back; raises UploadMissing when another driver wrote it."""
        if state.get("driver") != DRIVER_NAME:
            raise UploadMissing("The upload was begun on another storage.")
        return cls(int(state["synced_bytes"]), bool(state["is_named"]))


def open_locked(path: Path, *, create: bool) -> int:
    """Open an unfinished file for reading and writing, alone; return the descriptor.

    Raises FileNotFoundError, or UploadBusy when somebody else has it open, or UploadMissing
    when it was renamed or removed at this very moment.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, FILE_MODE)
    with ExitStack() as on_failure:
        on_failure.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadBusy(retry_after_seconds=1) from error
        if not is_same_file(descriptor, path):
            raise UploadMissing
        on_failure.pop_all()
    return descriptor


def is_same_file(descriptor: int, path: Path) -> bool:
    """Say whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def cut_to_size(descriptor: int, size: int) -> bool:
    """Drop what lies beyond ``size`` and say whether there was anything.

    Raises UploadMissing when the file is shorter than ``size``.
    """
    found = os.fstat(descriptor).st_size
    if found < size:
        raise UploadMissing(f"The storage holds {found} of the upload's {size} bytes.")
    if found > size:
        os.ftruncate(descriptor, size)
    return found > size


class FilesystemUploadWriter:
    """Appends to one file with positioned writes. See ``UploadWriter``."""

    def __init__(self, path: Path, descriptor: int, state: FileState, size: int) -> None:
        """Take over ``descriptor``, which is locked and cut to ``size``."""
        self._path = path
        self._descriptor = descriptor
        self._offset = size
        self._durable = size
        self._is_named = state.is_named
        self._handed_over = size
        self._usable = True

    @property
    def offset(self) -> int:
        """Bytes of the upload so far."""
        return self._offset

    def write(self, data: BytesLike) -> None:
        """Append all of ``data``, or raise and leave ``offset`` where it was."""
        self._ensure_usable()
        with translated("write the upload"), memoryview(data).cast("B") as view:
            failpoints.reach("storage.write")
            written = 0
            while written < len(view):
                written += os.pwrite(self._descriptor, view[written:], self._offset + written)
            self._offset += written
        if self._offset - self._handed_over >= WINDOW_BYTES:
            begin_writeback(self._descriptor, self._handed_over, self._offset - self._handed_over)
            self._handed_over = self._offset

    def sync(self, *, last: bool = False) -> UploadState:
        """Make every byte up to ``offset`` durable; with ``last`` leave the name to commit."""
        self._ensure_usable()
        with translated("make the upload durable"):
            try:
                failpoints.reach("storage.sync")
                os.fdatasync(self._descriptor)
                if not (self._is_named or last):
                    sync_directory(self._path.parent)
                    self._is_named = True
            except OSError:
                self._give_up()
                raise
        self._durable = self._offset
        return FileState(self._durable, self._is_named).to_json()

    def close(self) -> None:
        """Release the lock and the file, and the space of bytes that no sync made count."""
        descriptor, self._descriptor = self._descriptor, -1
        was_usable, self._usable = self._usable, False
        if descriptor >= 0:
            with translated("close the upload"):
                try:
                    if was_usable and os.fstat(descriptor).st_size > self._durable:
                        os.ftruncate(descriptor, self._durable)
                finally:
                    os.close(descriptor)

    def _ensure_usable(self) -> None:
        if not self._usable:
            raise StorageFailed("This writer is closed or has failed.", retry_after_seconds=5)

    def _give_up(self) -> None:
        """After a failed sync, make sure that nobody takes the doubtful bytes for stored.

        The kernel reports a lost page once and then forgets it: a second sync would succeed
        without the bytes. Cutting the file to what was durable before makes every later
        attempt start there.
        """
        self._usable = False
        try:
            os.ftruncate(self._descriptor, self._durable)
        except OSError:
            # The disk refuses this as well. The caller's row still says the old size, and
            # the next writer cuts the file there before it adds a byte.
            return
