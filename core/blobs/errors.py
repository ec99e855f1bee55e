"""Refusals of uploads."""

from typing import ClassVar

from core.common.errors import DomainError, ErrorKind


class UploadUnknown(DomainError):
    """No such upload for this repository and owner: never was, expired, cancelled or done."""

    code: ClassVar[str] = "BLOB_UPLOAD_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The upload is not known to the registry."


class RangeMismatch(DomainError):
    """Bytes were sent for another offset than the upload has reached.

    ``size_bytes`` is the offset at which the upload goes on.
    """

    code: ClassVar[str] = "BLOB_UPLOAD_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.RANGE
    default_message: ClassVar[str] = "The range does not start where the upload ends."

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(detail={"size": size_bytes})


class UploadTaken(DomainError):
    """Another request is writing this upload, or has taken it over meanwhile."""

    code: ClassVar[str] = "UNAVAILABLE"
    kind: ClassVar[ErrorKind] = ErrorKind.BUSY
    default_message: ClassVar[str] = "Another request is writing this upload. Try again."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)


class AlgorithmUnsupported(DomainError):
    """The digest algorithm asked for is not one the registry computes."""

    code: ClassVar[str] = "DIGEST_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The digest algorithm is not supported."


class DigestMismatch(DomainError):
    """The bytes received do not have the digest that the client announced."""

    code: ClassVar[str] = "DIGEST_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The content does not have the given digest."


class TooManyStrays(DomainError):
    """So many objects have no row that the database, not the storage, looks wrong.

    Typical cause: the database was restored from an older backup. Nothing was removed.
    """

    code: ClassVar[str] = "TOO_MANY_STRAYS"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = (
        "Too many stored objects are unknown to the database; nothing was removed. "
        "Check that the database belongs to this storage and is not an older copy."
    )


class TooManyLosses(DomainError):
    """So many objects are missing or unreadable that the storage as a whole looks wrong.

    Typical cause: a volume that is not mounted, or settings that name another storage.
    """

    code: ClassVar[str] = "TOO_MANY_LOSSES"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = (
        "Too many objects are missing or cannot be read; the check was broken off. "
        "Check that the storage is the one that the database belongs to, and is mounted."
    )


class MigrationStuck(DomainError):
    """Blob after blob could not be moved: one of the two storages, or the database, is away."""

    code: ClassVar[str] = "MIGRATION_STUCK"
    kind: ClassVar[ErrorKind] = ErrorKind.UPSTREAM
    default_message: ClassVar[str] = (
        "No blob could be moved for some time, so the migration stops; nothing is lost. The log "
        "says why. Run it again to go on."
    )


class MigrationUnderWay(DomainError):
    """Another process is moving content already."""

    code: ClassVar[str] = "CONFLICT"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = "Another migration is under way."


class NoFormerStorage(DomainError):
    """No former storage is configured, so there is nothing to move content from."""

    code: ClassVar[str] = "STORAGE_MISCONFIGURED"
    kind: ClassVar[ErrorKind] = ErrorKind.BUSY
    default_message: ClassVar[str] = (
        "No former storage is configured: set ROADSTEAD_FORMER_STORAGE_URL or "
        "ROADSTEAD_FORMER_STORAGE_DIR to where the content is to come from."
    )


class StoreNotRenamed(DomainError):
    """Rows cannot call a storage by a name under which its objects are not found."""

    code: ClassVar[str] = "STORE_NOT_RENAMED"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = (
        "Only a storage that is not configured is renamed, and only to the configured one that "
        "holds its objects: `roadstead storage status` shows the names."
    )


class ProjectUnknown(DomainError):
    """The project that the upload is for does not exist, or no longer."""

    code: ClassVar[str] = "NAME_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The project is not known to the registry."


class BlobRowChanged(Exception):
    """The blob's row is no longer what was examined; examine it again and retry.

    Raised inside a transaction to roll it back; it never reaches a client.
    """
