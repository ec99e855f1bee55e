"""What can be refused about quotas."""

from core.common.errors import DomainError, ErrorKind


class QuotaExceeded(DomainError):
    """The project would hold more than its limit allows; ``detail`` has the bytes."""

    code = "QUOTA_EXCEEDED"
    kind = ErrorKind.DENIED
    default_message = "The project would hold more than its limit allows."


class QuotaInvalid(DomainError):
    """A limit is neither a number of bytes above zero nor -1."""

    code = "QUOTA_INVALID"
    kind = ErrorKind.INVALID
    default_message = "hard.storage must be a number of bytes above 0, or -1 for no limit."


class QuotaUnknown(DomainError):
    """There is no such quota."""

    code = "QUOTA_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such quota."
