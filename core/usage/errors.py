"""What can be refused about usage."""

from core.common.errors import DomainError, ErrorKind


class RecountRunning(DomainError):
    """Another recount of the usage of projects is under way."""

    code = "RECOUNT_RUNNING"
    kind = ErrorKind.CONFLICT
    default_message = "Another recount is under way; wait for its end."


class StorageCountRunning(DomainError):
    """What is held is being counted for the first time, and that takes long."""

    code = "STORAGE_COUNT_RUNNING"
    kind = ErrorKind.BUSY
    default_message = "What is stored is being counted; ask again in a moment."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=2)
