"""Errors of the service and of the way to it, and what callers of the driver see instead."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from urllib3.exceptions import HTTPError

from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageFull, from_os_error

_SERVICE_ERRORS = (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, HTTPError)


def status_of(error: BaseException | None) -> int:
    """Return the HTTP status that the service answered; 0 when it did not."""
    if isinstance(error, RetryError):
        error = error.cause
    if isinstance(error, GoogleAPICallError):
        return int(error.code or 0)
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def reason_of(error: BaseException) -> str:
    """Return a few words for the log and for whoever sets up the storage, without addresses."""
    if isinstance(error, RetryError) and error.cause is not None:
        error = error.cause
    status = status_of(error)
    return f"{type(error).__name__} {status}" if status else type(error).__name__


def from_service_error(error: Exception, action: str) -> DomainError:
    """Return the domain error for ``error``, met while trying to ``action``."""
    if status_of(error) == 507:
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
    except _SERVICE_ERRORS as error:
        raise from_service_error(error, action) from error
    except OSError as error:
        # Errors of the SDK's transport are among them, and have no number.
        if error.errno is None:
            raise from_service_error(error, action) from error
        raise from_os_error(error, action) from error
