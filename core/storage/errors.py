"""What can go wrong below a blob driver, and how operating system errors become it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from core.common.errors import DomainError, ErrorKind


class StorageKeyInvalid(ValueError):
    """A key that this product never makes; a fault in the calling code, not in a request."""


class StorageMisconfigured(DomainError):
    """The configured storage cannot be used; the message says what to change."""

    code = "STORAGE_MISCONFIGURED"
    kind = ErrorKind.BUSY
    default_message = "The blob storage is not usable as configured."


class StorageFull(DomainError):
    """No space, or no quota of the operating system, is left for more bytes."""

    code = "UNAVAILABLE"
    kind = ErrorKind.STORAGE_FULL
    default_message = "The blob storage is full."


class StorageFailed(DomainError):
    """The storage answered with an error; what was acknowledged earlier is still there."""

    code = "UNAVAILABLE"
    kind = ErrorKind.BUSY
    default_message = "The blob storage failed. Try again later."


class UploadBusy(DomainError):
    """Another writer has the upload open; it lets go when its request or process ends."""

    code = "UNAVAILABLE"
    kind = ErrorKind.BUSY
    default_message = "The upload is being written by another request."


class UploadMissing(DomainError):
    """The storage does not hold the unfinished bytes that the caller counts on.

    They were aborted, or committed already, or belong to another driver. Trying again with
    the same upload cannot succeed.
    """

    code = "STORED_UPLOAD_MISSING"
    kind = ErrorKind.NOT_FOUND
    default_message = "The storage no longer holds this upload."


class BlobMissing(DomainError):
    """No object is stored under the key, although the caller believes in one.

    The caller decides what that means: a row without an object is damage, not absence.
    """

    code = "STORED_BLOB_MISSING"
    kind = ErrorKind.UPSTREAM
    default_message = "The storage holds no object for this blob."


def from_os_error(error: OSError, action: str) -> DomainError:
    """Return the domain error for ``error``, met while trying to ``action``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull()
    reason = error.strerror or type(error).__name__
    return StorageFailed(
        f"The blob storage failed to {action}. Try again later.",
        detail={"reason": reason},
        retry_after_seconds=5,
    )


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn every OSError of the block into StorageFull or StorageFailed."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, action) from error
