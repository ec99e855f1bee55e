"""Refusals of imports."""

from typing import ClassVar

from core.common.errors import DomainError, ErrorKind


class SourceInvalid(DomainError):
    """The directory is no storage directory of a reference registry, or cannot be read."""

    code: ClassVar[str] = "SOURCE_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The directory does not hold a registry."


class ImportRunning(DomainError):
    """Another import into this registry is under way."""

    code: ClassVar[str] = "IMPORT_RUNNING"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = "Another import is running."


class SourceFault(Exception):
    """One thing in a source cannot be taken over; the message is the reason for the report."""
