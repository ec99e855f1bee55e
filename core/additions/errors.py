"""Refusals of additions."""

from typing import ClassVar

from core.common.errors import DomainError, ErrorKind


class AdditionUnsupported(DomainError):
    """Artifacts of this kind have no such addition."""

    code: ClassVar[str] = "ADDITION_UNSUPPORTED"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "Artifacts of this kind have no such addition."


class AdditionMissing(DomainError):
    """The artifact lacks what others of its kind have."""

    code: ClassVar[str] = "ADDITION_MISSING"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The artifact does not have this addition."
