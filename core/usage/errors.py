"""What can be refused about usage."""

from core.common.errors import DomainError, ErrorKind


class RecountRunning(DomainError):
    """Another recount of the usage of projects is under way."""

    code = "RECOUNT_RUNNING"
    kind = ErrorKind.CONFLICT
    default_message = "Another recount is under way; wait for its end."
