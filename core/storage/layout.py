"""The folders of the filesystem driver, and whether they can do what the driver needs.

``<root>/uploads/<2 hex>/<32 hex>`` holds unfinished bytes and ``<root>/blobs/...`` committed
ones. A commit renames from one to the other, so both must lie on one filesystem. All folders
are made, and made durable, before the first upload; ``<root>/layout`` says that this is done.
"""

import errno
import fcntl
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from core.storage.errors import StorageFull, StorageMisconfigured
from core.storage.keys import FAN_OUT

UPLOADS = "uploads"
BLOBS = "blobs"

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

_MARKER = "layout"
_MARKER_TEXT = b"roadstead storage layout 1\n"


def sync_directory(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError; a failure must not be retried."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prepare(root: Path) -> Path:
    """Make all folders below ``root`` (and ``root``), or find them made; return the real path.

    Any number of processes may do so at once. Raises StorageMisconfigured.
    """
    if not root.is_absolute():
        raise StorageMisconfigured(f"The storage directory must be an absolute path, not {root}.")
    try:
        root = root.resolve()
        _make_root(root)
        if not _is_marked(root) or not _has_all_folders(root):
            _make_folders(root)
        _ensure_one_device(root)
    except OSError as error:
        raise StorageMisconfigured(
            f"The storage directory {root} cannot be prepared: {error.strerror}"
            f" ({error.filename or root})."
        ) from error
    return root


def probe(root: Path) -> None:
    """Write, lock, sync and rename a small file as a commit would, then remove it.

    This finds read-only mounts, missing rights, filesystems without locks, and folders that
    share a device number but refuse a rename between them (bind mounts). Raises
    StorageMisconfigured, or StorageFull when there was no room to find out.
    """
    name = f".probe-{secrets.token_hex(8)}"
    source, target = root / UPLOADS / name, root / BLOBS / name
    try:
        _probe_rename(source, target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise _not_one_filesystem(root) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull from error
        raise StorageMisconfigured(
            f"The storage directory {root} cannot be written to: {error.strerror}."
        ) from error
    finally:
        # A folder that cannot be written to holds no probe either, and the fault that
        # matters is on its way to the caller.
        with suppress(OSError):
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)


def _probe_rename(source: Path, target: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(source, flags, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, b"probe", 0)
        os.fdatasync(descriptor)
        source.rename(target)
        sync_directory(target.parent)
    finally:
        os.close(descriptor)


def _make_root(root: Path) -> None:
    """Make ``root`` and its missing parents, each with a durable name."""
    missing = [path for path in (root, *root.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sync_directory(path.parent)


def _is_marked(root: Path) -> bool:
    try:
        text = (root / _MARKER).read_bytes()
    except FileNotFoundError:
        return False
    if text != _MARKER_TEXT:
        raise StorageMisconfigured(
            f"{root / _MARKER} names a storage layout that this version does not know."
        )
    return True


def _has_all_folders(root: Path) -> bool:
    for area in (UPLOADS, BLOBS):
        try:
            with os.scandir(root / area) as entries:
                found = {entry.name for entry in entries}
        except FileNotFoundError:
            return False
        if not found.issuperset(FAN_OUT):
            return False
    return True


def _make_folders(root: Path) -> None:
    for area in (UPLOADS, BLOBS):
        folder = root / area
        folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        for name in FAN_OUT:
            (folder / name).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sync_directory(folder)
    sync_directory(root)
    _write_marker(root)


def _write_marker(root: Path) -> None:
    """Record that all folders are durable; a reader sees the whole text or no file."""
    draft = root / f".{_MARKER}-{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        os.write(descriptor, _MARKER_TEXT)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(root / _MARKER)
    sync_directory(root)


def _ensure_one_device(root: Path) -> None:
    """Refuse folders on different devices, and links that could lead out of the root."""
    devices = set()
    for area in (UPLOADS, BLOBS):
        for folder in (root / area, *(root / area / name for name in FAN_OUT)):
            facts = folder.lstat()
            if not stat.S_ISDIR(facts.st_mode):
                raise StorageMisconfigured(
                    f"{folder} must be a plain directory; to keep the bytes elsewhere, "
                    "point the storage directory as a whole there."
                )
            devices.add(facts.st_dev)
    if len(devices) > 1:
        raise _not_one_filesystem(root)


def _not_one_filesystem(root: Path) -> StorageMisconfigured:
    return StorageMisconfigured(
        f"All directories below {root} must lie on one filesystem and one mount, "
        "because a finished upload is renamed, not copied; mount the storage directory as a whole."
    )
