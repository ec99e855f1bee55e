"""Refusals of the feature."""

from core.common.errors import DomainError, ErrorKind


class UserUnknown(DomainError):
    """No user has that name or id."""

    code = "USER_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such user."


class UsernameTaken(DomainError):
    """Another user has the name, possibly written in another case."""

    code = "USERNAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A user with this name exists already."


class EmailTaken(DomainError):
    """Another user has the e-mail address, possibly written in another case."""

    code = "EMAIL_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A user with this email exists already."


class UsernameInvalid(DomainError):
    """The name breaks the rules for user names."""

    code = "USERNAME_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "A user name has 1 to 255 characters, none of them white space, a control character "
        'or one of : , " ~ # % $ and does not begin like the name of a robot.'
    )


class RegistrationsThrottled(DomainError):
    """Too many accounts were asked for from one address, or from all together."""

    code = "TOOMANYREQUESTS"
    kind = ErrorKind.OVER_LIMIT
    default_message = "Too many accounts were asked for. Try again later."


class PasswordInvalid(DomainError):
    """The password is too weak or too long."""

    code = "PASSWORD_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "A password has 8 to 128 characters, none of them a control character, with at least "
        "one upper-case letter, one lower-case letter and one digit."
    )


class ProfileInvalid(DomainError):
    """An e-mail address, real name or comment cannot be stored."""

    code = "PROFILE_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The profile is not valid."


class LastAdministrator(DomainError):
    """The change would leave the installation without an active system administrator."""

    code = "LAST_ADMINISTRATOR"
    kind = ErrorKind.PRECONDITION
    default_message = "The last active system administrator has to stay one."


class GroupUnknown(DomainError):
    """No group has that name or id."""

    code = "GROUP_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such group."


class GroupNameTaken(DomainError):
    """Another group has the name."""

    code = "GROUP_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A group with this name exists already."


class GroupNameInvalid(DomainError):
    """The name breaks the rules for group names."""

    code = "GROUP_NAME_INVALID"
    kind = ErrorKind.INVALID
    default_message = "A group name has 1 to 150 characters without control characters."


class PasswordHashInvalid(DomainError):
    """A hash to be imported is not bcrypt, or damaged."""

    code = "PASSWORD_HASH_INVALID"
    kind = ErrorKind.INVALID
    default_message = "Only bcrypt hashes can be imported."
