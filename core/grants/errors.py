"""What can be refused about repository grants."""

from core.common.errors import DomainError, ErrorKind


class RightUnknown(DomainError):
    """The right is none of pull, push and delete."""

    code = "RIGHT_UNKNOWN"
    kind = ErrorKind.INVALID
    default_message = "A repository grant is one of pull, push and delete."


class GrantUnknown(DomainError):
    """The user or group does not hold this right on the repository."""

    code = "GRANT_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such grant on the repository."


class GrantTooWide(DomainError):
    """The right holds more than the actor, who therefore cannot grant it."""

    code = "GRANT_TOO_WIDE"
    kind = ErrorKind.DENIED
    default_message = "You do not hold this right on the repository yourself."


class GroupTooWide(DomainError):
    """The group holds more than the actor, who therefore cannot put anybody into it."""

    code = "GROUP_TOO_WIDE"
    kind = ErrorKind.DENIED
    default_message = "The group holds rights that you do not hold yourself."
