"""What can be refused about robots."""

from core.common.errors import DomainError, ErrorKind


class RobotNameInvalid(DomainError):
    """The name does not follow the rules for robot names."""

    code = "ROBOT_NAME_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "A robot name has 1 to 255 characters: lower-case letters and digits, with single "
        "'.', '_' or '-' between them."
    )


class RobotNameTaken(DomainError):
    """The project, or the system, has a robot of this name."""

    code = "ROBOT_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A robot of this name exists already."


class RobotUnknown(DomainError):
    """There is no such robot."""

    code = "ROBOT_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such robot."


class RobotSecretInvalid(DomainError):
    """A secret that was chosen for a robot is too weak, too long, or marked as made here."""

    code = "ROBOT_SECRET_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "secret: a secret that you choose has 8 to 128 characters, none of them a control "
        "character, with at least one upper-case letter, one lower-case letter and one digit. "
        "Leave it empty to have one made."
    )


class RobotPermissionInvalid(DomainError):
    """The permissions name something a robot cannot hold; ``detail`` names it."""

    code = "ROBOT_PERMISSION_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The robot asks for permissions that robots cannot hold."


class RobotDurationInvalid(DomainError):
    """The duration is neither a number of days within bounds nor unlimited."""

    code = "ROBOT_DURATION_INVALID"
    kind = ErrorKind.INVALID
    default_message = "A robot lasts 1 to 36500 days, or -1 for ever."


class OverlapInvalid(DomainError):
    """The old secret would live for a negative time or for too long."""

    code = "ROBOT_OVERLAP_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The old secret may go on working for 0 seconds to 30 days."


class ScopeTooWide(DomainError):
    """The actor would hand out permissions it does not hold; ``detail`` names them."""

    code = "SCOPE_TOO_WIDE"
    kind = ErrorKind.DENIED
    default_message = "The robot holds permissions that you do not hold yourself."
