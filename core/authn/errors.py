"""Refusals of the feature."""

from core.common.errors import DomainError, ErrorKind


class InvalidCredentials(DomainError):
    """Name and secret, or the token, do not prove anybody's identity."""

    code = "UNAUTHORIZED"
    kind = ErrorKind.UNAUTHENTICATED
    default_message = "The user name or the secret is not correct."


class RegistryTokenInvalid(DomainError):
    """A registry token is malformed, expired, for another service or not signed by us."""

    code = "UNAUTHORIZED"
    kind = ErrorKind.UNAUTHENTICATED
    default_message = "The token is not valid."


class LoginThrottled(DomainError):
    """Too many failed logins; a password was not even looked at."""

    code = "TOOMANYREQUESTS"
    kind = ErrorKind.OVER_LIMIT
    default_message = "Too many failed logins. Try again later."


class PersonalTokenInvalid(DomainError):
    """A personal access token was asked for that cannot exist."""

    code = "TOKEN_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The token cannot be created like this."


class PersonalTokenNameTaken(DomainError):
    """The user has a token of that name that is not revoked."""

    code = "TOKEN_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "You already have a token with this name."


class PersonalTokenUnknown(DomainError):
    """No token has that id, or it belongs to somebody else."""

    code = "TOKEN_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such token."


class TokenTooWide(DomainError):
    """A limited token was used to create one with wider limits."""

    code = "TOKEN_TOO_WIDE"
    kind = ErrorKind.DENIED
    default_message = "A token cannot create a token with more rights than its own."


class SigningKeyUnreadable(DomainError):
    """The stored signing key was encrypted under another secret key."""

    code = "SIGNING_KEY_UNREADABLE"
    # No fault of whoever asks for a token.
    kind = ErrorKind.BUSY
    default_message = (
        "The signing key was encrypted under another secret key. Restore the former "
        "ROADSTEAD_SECRET_KEY, or make a new signing key with: roadstead keys rotate --now"
    )


class SessionUnknown(DomainError):
    """No session has that id, it has ended, or it belongs to somebody else."""

    code = "SESSION_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such session."


class MalformedCredentials(DomainError):
    """The Authorization header is neither Basic nor Bearer, or cannot be decoded."""

    code = "UNAUTHORIZED"
    kind = ErrorKind.UNAUTHENTICATED
    default_message = "The Authorization header cannot be understood."
