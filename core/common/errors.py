"""The error vocabulary every feature builds on; renderers map kinds to status codes."""

from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What sort of refusal an error is; each API surface has one status for each kind."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    TOO_LARGE = "too_large"
    RANGE = "range"
    OVER_LIMIT = "over_limit"
    BUSY = "busy"
    UPSTREAM = "upstream"
    STORAGE_FULL = "storage_full"
    NOT_IMPLEMENTED = "not_implemented"


class DomainError(Exception):
    """Base of every anticipated refusal.

    Subclasses set ``code`` (a stable identifier that clients may match), ``kind`` and
    ``default_message``. ``detail`` is any JSON value that helps the caller, and
    ``retry_after_seconds`` is set where trying again later makes sense.
    """

    code: ClassVar[str] = "UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The request cannot be carried out."

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: object = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.message)
