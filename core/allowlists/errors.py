"""What can be refused about allowlists."""

from core.common.errors import DomainError, ErrorKind


class AllowlistInvalid(DomainError):
    """An item of the list cannot be, or stands there twice; the message names it."""

    code = "ALLOWLIST_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The allowlist is not valid."
