"""Errors of the service and of the way to it, and what callers of the driver see instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import SystemRandom

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageFull, UploadMissing, from_os_error

RETRY_AFTER_SECONDS = 5
LONGEST_PAUSE_SECONDS = 20.0

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
EXISTS = frozenset({"412", "PreconditionFailed"})
CONFLICT = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_UPLOAD_GONE = frozenset({"NoSuchUpload"})
_PARTS_REPLACED = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})
_FULL = frozenset({"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})

_chance = SystemRandom()


def code_of(error: ClientError) -> str:
    """Return the error code of the service; for an answer without a body its HTTP status."""
    return error.response.get("Error", {}).get("Code", "")


def reason_of(error: Exception) -> str:
    """Return a few words for the log and for whoever sets up the storage."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{code_of(error)}: {message}" if message else code_of(error)
    return str(error) or type(error).__name__


def from_service_error(error: Exception, action: str) -> DomainError:
    """Return the domain error for ``error``, met while trying to ``action``."""
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in _UPLOAD_GONE:
            return UploadMissing()
        if code in _PARTS_REPLACED:
            return UploadMissing("The stored parts are not those that were sent.")
        if code in _FULL:
            return StorageFull()
    return StorageFailed(
        f"The blob storage failed to {action}. Try again later.",
        detail={"reason": reason_of(error)},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn every failure of the block into a domain error; those pass through untouched."""
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError) as error:
        raise from_service_error(error, action) from error
    except OSError as error:
        raise from_os_error(error, action) from error


def pause_seconds(attempt: int) -> float:
    """Return how long to wait after the failed ``attempt`` (0, 1, ...): random, and growing."""
    return _chance.uniform(0, min(LONGEST_PAUSE_SECONDS, 2.0**attempt))
