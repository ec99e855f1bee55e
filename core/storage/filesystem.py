"""Blobs as files below one directory of a local or network filesystem.

The promise: when ``commit`` returns, bytes and name survive a power cut, provided the disk
keeps its own promises. A sync that fails is never repeated, because the kernel may report an
error once and then forget the lost bytes; the upload falls back to what was durable before.
"""

import errno
import os
import stat as file_types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from core.common import failpoints
from core.storage import layout
from core.storage.errors import (
    BlobMissing,
    StorageFailed,
    StorageMisconfigured,
    UploadMissing,
    translated,
)
from core.storage.filesystem_upload import (
    FileState,
    FilesystemUploadWriter,
    cut_to_size,
    is_same_file,
    open_locked,
)
from core.storage.keys import join_key, parse_key
from core.storage.types import StoredObject, UploadState

_NOT_LINKABLE = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOENT)
"""Another filesystem; not allowed by mount or kernel; too many names; no /proc."""


class FilesystemBlobReader:
    """Reads one file. See ``BlobReader``. Any number of threads may read at once.

    Closes by itself when nobody has it any more: a thread may open a file for a request that
    was cancelled meanwhile, because its client left, and then nobody takes the reader.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        """Take over ``descriptor``, open for reading."""
        self._descriptor = descriptor
        self._size = size

    @property
    def size(self) -> int:
        """Length of the file in bytes when it was opened."""
        return self._size

    @property
    def file(self) -> Self:
        """The reader itself."""
        return self

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only at the end of the file."""
        with translated("read the blob"):
            piece = os.pread(self._descriptor, length, offset)
            if len(piece) == length or not piece:
                return piece
            pieces = [piece]
            # The kernel may stop early, at 2 GiB for one.
            while piece and (missing := length - sum(map(len, pieces))):
                piece = os.pread(self._descriptor, missing, offset + length - missing)
                pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with translated("close the blob"):
                os.close(descriptor)

    def __del__(self) -> None:
        """Close the file, if nobody has."""
        self.close()


class FilesystemDriver:
    """Keeps uploads and blobs below ``root``. See ``StorageDriver``."""

    reads_are_quick = True
    least_chunk_bytes = None

    def __init__(self, root: Path) -> None:
        """Make or find the folders. Raises StorageMisconfigured."""
        self._root = layout.prepare(root)

    def start(self, key: str) -> UploadState:
        """Begin an upload. The file comes with its first writer."""
        parse_key(key)
        return FileState().to_json()

    def open_writer(self, key: str, state: UploadState, size: int) -> FilesystemUploadWriter:
        """Open and lock the unfinished file, cut to ``size``."""
        upload, blob = self._paths(key)
        known = FileState.from_json(state)
        with translated("open the upload"):
            try:
                descriptor = open_locked(upload, create=size == 0)
            except FileNotFoundError as error:
                raise UploadMissing from error
            with ExitStack() as on_failure:
                on_failure.callback(os.close, descriptor)
                if size == 0 and _size_of(blob) is not None:
                    # A late request for a committed upload: its file moved away, and the
                    # one just made would never be cleaned up.
                    upload.unlink(missing_ok=True)
                    raise UploadMissing("The upload is committed already.")
                cut_to_size(descriptor, size)
                on_failure.pop_all()
        return FilesystemUploadWriter(upload, descriptor, known, size)

    def commit(self, key: str, state: UploadState, size: int) -> None:
        """Sync the file unless that is known to be done, rename it, sync its new folder.

        The old folder is not synced: should a power cut bring the old name back beside the new
        one, it is removed with the upload's row, or by a repeated commit.
        """
        upload, blob = self._paths(key)
        known = FileState.from_json(state)
        with translated("store the blob"):
            # Opened before looking for the blob: an unfinished file can only come into being
            # anew after the rename, so if no blob is seen now, this is the file to rename.
            try:
                descriptor = open_locked(upload, create=size == 0 and _size_of(blob) is None)
            except FileNotFoundError as error:
                if not self._is_committed(blob, size):
                    raise UploadMissing from error
                layout.sync_directory(blob.parent)
                return
            try:
                if self._is_committed(blob, size):
                    upload.unlink(missing_ok=True)
                    layout.sync_directory(blob.parent)
                    return
                self._make_durable(descriptor, upload, known, size)
                failpoints.reach("storage.commit.synced")
                self._rename(descriptor, upload, blob)
            finally:
                os.close(descriptor)
        failpoints.reach("storage.commit.done")

    def adopt(self, key: str, descriptor: int) -> bool:
        """Give an open file a second name. See ``AdoptsFiles``.

        Not for files that the owner of the storage directory could not read, nor across
        filesystems, nor where the kernel does not let this user link them.
        """
        _, blob = self._paths(key)
        with translated("take over the file"):
            if not _is_readable_by(self._root.stat().st_uid, os.fstat(descriptor)):
                return False
            # Whoever wrote it may not have waited for the disk.
            os.fsync(descriptor)
            try:
                with _opened_folder(blob.parent) as folder:
                    # By its descriptor, so that it is the very file that the caller has open.
                    os.link(
                        f"/proc/self/fd/{descriptor}",
                        blob.name,
                        dst_dir_fd=folder,
                        follow_symlinks=True,
                    )
            except OSError as error:
                if error.errno in _NOT_LINKABLE:
                    return False
                raise
            failpoints.reach("storage.adopt.linked")
            layout.sync_directory(blob.parent)
        return True

    def abort(self, key: str, state: UploadState) -> None:
        """Remove the unfinished file; a writer that is still open writes into the void."""
        upload, _ = self._paths(key)
        FileState.from_json(state)
        with translated("remove the upload"):
            upload.unlink(missing_ok=True)

    def open_blob(self, key: str) -> FilesystemBlobReader:
        """Open the file of a blob. Raises BlobMissing."""
        _, blob = self._paths(key)
        with translated("open the blob"):
            try:
                descriptor = os.open(blob, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise BlobMissing from error
            with ExitStack() as on_failure:
                on_failure.callback(os.close, descriptor)
                size = _regular_size(os.fstat(descriptor))
                on_failure.pop_all()
        return FilesystemBlobReader(descriptor, size)

    def stat(self, key: str) -> int | None:
        """Return the size of a blob's file, None when there is none."""
        _, blob = self._paths(key)
        with translated("look for the blob"):
            return _size_of(blob)

    def delete(self, key: str) -> None:
        """Remove the file of a blob.

        The folder is not synced: after a power cut the file may be back, as an object that
        no row names, and the sweep for such objects takes it.
        """
        _, blob = self._paths(key)
        with translated("remove the blob"):
            blob.unlink(missing_ok=True)

    def redirect_url(self, key: str, *, lifetime_seconds: int) -> str | None:
        """None: nobody else reads the disk."""
        parse_key(key)
        return None

    def list_blobs(self) -> Iterator[StoredObject]:
        """Walk over all committed files."""
        return self._walk(layout.BLOBS)

    def list_uploads(self) -> Iterator[StoredObject]:
        """Walk over all unfinished files; the keys are those of the blobs to be."""
        return self._walk(layout.UPLOADS)

    def free_bytes(self) -> int | None:
        """Return what the filesystem grants to a process without special rights."""
        with translated("measure the free space"):
            figures = os.statvfs(self._root)
        return figures.f_bavail * figures.f_frsize

    def total_bytes(self) -> int | None:
        """Return the size of the filesystem, whoever uses it."""
        with translated("measure the space"):
            figures = os.statvfs(self._root)
        return figures.f_blocks * figures.f_frsize

    def check(self) -> None:
        """Look over the folders and carry out a small commit."""
        if not self._root.is_dir():
            raise StorageMisconfigured(f"The storage directory {self._root} is gone.")
        layout.prepare(self._root)
        layout.probe(self._root)

    def _paths(self, key: str) -> tuple[Path, Path]:
        """Return where the unfinished and the committed file of ``key`` lie."""
        folder, name = parse_key(key)
        return (
            self._root / layout.UPLOADS / folder / name,
            self._root / layout.BLOBS / folder / name,
        )

    def _is_committed(self, blob: Path, size: int) -> bool:
        """Say whether the blob is there; raises StorageFailed for one of another size."""
        found = _size_of(blob)
        if found is not None and found != size:
            raise StorageFailed(
                f"The key holds a blob of {found} bytes already, not of {size}; it stays."
            )
        return found is not None

    def _make_durable(self, descriptor: int, upload: Path, known: FileState, size: int) -> None:
        was_cut = cut_to_size(descriptor, size)
        if known.synced_bytes == size and not was_cut and size > 0:
            # The writer's own sync covered exactly these bytes, and nobody wrote since.
            return
        try:
            failpoints.reach("storage.sync")
            os.fdatasync(descriptor)
        except OSError:
            upload.unlink(missing_ok=True)
            raise

    def _rename(self, descriptor: int, upload: Path, blob: Path) -> None:
        """Give the file its final name, durably, or leave no blob behind."""
        upload.rename(blob)
        try:
            failpoints.reach("storage.commit.renamed")
            if not is_same_file(descriptor, blob):
                raise UploadMissing("The upload was replaced while it was being stored.")
            layout.sync_directory(blob.parent)
        except (OSError, UploadMissing):
            # No row names this blob yet. Were it left, a repeated commit would find it and
            # call it durable, which is what the failed sync did not establish.
            blob.unlink(missing_ok=True)
            raise

    def _walk(self, area: str) -> Iterator[StoredObject]:
        with translated("list the storage"):
            with os.scandir(self._root / area) as folders:
                names = sorted(folder.name for folder in folders if folder.is_dir())
            for name in names:
                with os.scandir(self._root / area / name) as entries:
                    yield from filter(None, (_stored_object(name, entry) for entry in entries))


def _stored_object(folder: str, entry: os.DirEntry[str]) -> StoredObject | None:
    """Describe one file; None for what is not ours or vanished meanwhile."""
    key = join_key(folder, entry.name)
    if key is None:
        return None
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not file_types.S_ISREG(facts.st_mode):
        return None
    # A rename changes st_ctime only: a slow upload that was committed just now is young.
    changed_at = datetime.fromtimestamp(max(facts.st_mtime, facts.st_ctime), tz=UTC)
    return StoredObject(key, facts.st_size, changed_at)


@contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_readable_by(user: int, facts: os.stat_result) -> bool:
    """Say whether a user without special rights or groups may read the file."""
    if facts.st_uid == user:
        return bool(facts.st_mode & file_types.S_IRUSR)
    return bool(facts.st_mode & file_types.S_IROTH)


def _size_of(path: Path) -> int | None:
    try:
        return _regular_size(path.lstat())
    except FileNotFoundError:
        return None


def _regular_size(facts: os.stat_result) -> int:
    if not file_types.S_ISREG(facts.st_mode):
        raise StorageFailed("Something that is not a plain file lies in the place of a blob.")
    return facts.st_size
