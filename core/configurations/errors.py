"""Refusals of changes."""

from core.common.errors import DomainError, ErrorKind


class RobotNamePrefixTaken(DomainError):
    """The name of a user begins with what names of robots should begin with."""

    code = "ROBOT_NAME_PREFIX_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "robot_name_prefix: the name of a user begins like this."
