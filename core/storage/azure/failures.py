"""Errors of the service and of the way to it, and what callers of the driver see instead."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError

from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageFull, UploadMissing, from_os_error

MISSING = frozenset({"BlobNotFound"})
EXISTS = frozenset({"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"})
_BLOCKS_GONE = frozenset({"InvalidBlockList", "InvalidBlobOrBlock"})
_FULL = frozenset({"BlockCountExceedsLimit", "BlockListTooLong", "InsufficientStorage"})


def code_of(error: BaseException | None) -> str:
    """Return the error code of the service; without one the HTTP status, or nothing."""
    if not isinstance(error, HttpResponseError):
        return ""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or error.status_code or "")


def reason_of(error: BaseException) -> str:
    """Return a few words for the log and for whoever sets up the storage."""
    return code_of(error) or str(error).partition("\n")[0] or type(error).__name__


def from_service_error(error: Exception, action: str) -> DomainError:
    """Return the domain error for ``error``, met while trying to ``action``."""
    code = code_of(error)
    if code in EXISTS:
        return UploadMissing("The key holds a blob already; it stays.")
    if code in _BLOCKS_GONE:
        return UploadMissing("The stored blocks are not those that were sent.")
    if code in _FULL or code == "507":
        return StorageFull()
    return StorageFailed(
        f"The blob storage failed to {action}. Try again later.",
        detail={"reason": reason_of(error)},
        retry_after_seconds=5,
    )


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn every failure of the block into a domain error; those pass through untouched."""
    try:
        yield
    except AzureError as error:
        raise from_service_error(error, action) from error
    except OSError as error:
        raise from_os_error(error, action) from error
