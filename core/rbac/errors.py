"""Refusals of the permission evaluator."""

from core.common.errors import DomainError, ErrorKind


class PermissionDenied(DomainError):
    """The actor is known and lacks the permission."""

    code = "DENIED"
    kind = ErrorKind.DENIED
    default_message = "You do not have permission to do this."


class AuthenticationRequired(DomainError):
    """An anonymous caller asked for what anonymous callers may not do."""

    code = "UNAUTHORIZED"
    kind = ErrorKind.UNAUTHENTICATED
    default_message = "Authentication is required."
