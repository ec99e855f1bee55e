"""The interface of a blob driver. All calls block: run them in threads, not in an event loop.

An upload goes through ``start``, any number of (``open_writer``, ``write``..., ``sync``,
``close``), then ``commit`` or ``abort``. Each step may happen in another process on another
machine: whatever a driver must remember between steps is in the *upload state*, a small JSON
object that the caller stores with the number of durable bytes and hands back untouched. The
interface asks nothing of a driver that an object store lacks: no rename, no append to a
finished object, no local disk. A driver for one starts a multipart upload straight on the
final key and keeps part numbers, tags and the name of the remaining tail in the state.

Every method may raise StorageFull or StorageFailed, and StorageKeyInvalid for a key that is
not one of ours. Fewer bytes or an older state than the last ``sync`` gave is always allowed
for what follows: bytes beyond the size handed over count as never written.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

BytesLike = bytes | bytearray | memoryview
"""What writers take. A memoryview must be contiguous; it is read before the call returns."""

UploadState = dict[str, Any]
"""JSON object that belongs to the driver; callers store it and look at nothing inside."""


class StoredObject(NamedTuple):
    """One object met while listing.

    ``modified_at`` (aware UTC) is never later than the last change of content by more than
    the commit took, and may be as early as the start of the upload: a sweeper that looks for
    forgotten objects must ask for live uploads as well, not trust age alone.
    """

    key: str
    size: int
    modified_at: datetime


@runtime_checkable
class UploadWriter(Protocol):
    """Appends to one upload. For one thread at a time; the last call is ``close``."""

    @property
    def offset(self) -> int:
        """Bytes of the upload so far: those before this writer and those it has taken."""

    def write(self, data: BytesLike) -> None:
        """Append all of ``data``, or raise and leave ``offset`` where it was."""

    def sync(self, *, last: bool = False) -> UploadState:
        """Make every byte up to ``offset`` durable and return the state that goes with it.

        ``last`` says that no byte follows and ``commit`` or ``abort`` comes next, which
        spares an object store the detour of a partial tail. It loosens nothing: the state
        is as good for another writer as any.

        When this raises, the bytes since the previous successful ``sync`` are lost and the
        writer is of no more use; the upload goes on from the previous size and state.
        """

    def close(self) -> None:
        """Let go of the upload. Bytes after the last ``sync`` may be lost. May be repeated."""


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Return its descriptor, which may not be used after the file is closed."""


@runtime_checkable
class BlobReader(Protocol):
    """Reads one committed blob; it stays readable after a ``delete`` until closed."""

    @property
    def size(self) -> int:
        """Length of the stored object in bytes, which the caller compares with its row."""

    @property
    def file(self) -> HasFileno | None:
        """The open file, for the kernel to send by itself; None where there is no file."""

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only at the end of the object."""

    def close(self) -> None:
        """Release what the reader holds. May be repeated."""


@runtime_checkable
class AdoptsFiles(Protocol):
    """What a driver offers besides where it can take over a file without copying it."""

    def adopt(self, key: str, descriptor: int) -> bool:
        """Make an open file, which somebody else keeps too, the committed blob ``key``, durably.

        The file is never written to, now or later. Whether it holds the right bytes is for
        the caller to find out afterwards. False when the file cannot be shared: it has to be
        copied then.
        """


@runtime_checkable
class StorageDriver(Protocol):
    """Keeps uploads and blobs. One instance serves all threads of a process."""

    @property
    def reads_are_quick(self) -> bool:
        """Whether a small blob is read about as fast as a row is."""

    @property
    def least_chunk_bytes(self) -> int | None:
        """Below what size chunks of an upload cost detours; None where any size will do."""

    def start(self, key: str) -> UploadState:
        """Begin an upload whose blob will be found under ``key``; return its first state."""

    def open_writer(self, key: str, state: UploadState, size: int) -> UploadWriter:
        """Return a writer that appends after the first ``size`` bytes.

        ``state`` is what went with ``size``. What an earlier writer left beyond ``size`` is
        dropped. Raises UploadMissing when those bytes are not there, and UploadBusy where
        the storage cannot keep the bytes of a writer that is still open apart from those
        of a new one.
        """

    def commit(self, key: str, state: UploadState, size: int) -> None:
        """Turn the first ``size`` bytes of the upload into the blob ``key``, durably.

        Close the writer first. Repeating a commit that got through succeeds, so that a crash
        before the caller's transaction does no harm. Raises UploadMissing when the bytes are
        not there, UploadBusy while a writer is open.
        """

    def abort(self, key: str, state: UploadState) -> None:
        """Remove the unfinished bytes. Never touches a committed blob. May be repeated."""

    def open_blob(self, key: str) -> BlobReader:
        """Open a committed blob. Raises BlobMissing."""

    def stat(self, key: str) -> int | None:
        """Return the size of a committed blob in bytes, None when there is none."""

    def delete(self, key: str) -> None:
        """Remove a committed blob; one that is missing already counts as removed."""

    def redirect_url(self, key: str, *, lifetime_seconds: int) -> str | None:
        """Return an address where a client can GET the committed blob without credentials.

        It works for at least ``lifetime_seconds``, is the same for a while, and says nothing
        about whether the blob is there. None where only this process can read.
        """

    def list_blobs(self) -> Iterator[StoredObject]:
        """Walk over all committed blobs, in no order; changes meanwhile may be missed."""

    def list_uploads(self) -> Iterator[StoredObject]:
        """Walk over all uploads that hold bytes, as ``list_blobs`` does."""

    def free_bytes(self) -> int | None:
        """Return how many bytes can still be stored, None where nobody knows."""

    def total_bytes(self) -> int | None:
        """Return how many bytes there is room for, stored ones included; None as above."""

    def check(self) -> None:
        """Try the storage out; raises StorageMisconfigured with a sentence on the fault."""
