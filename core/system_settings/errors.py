"""Refusals of settings, and by settings."""

from core.common.errors import DomainError, ErrorKind


class SettingUnknown(DomainError):
    """No setting has that key."""

    code = "SETTING_UNKNOWN"
    kind = ErrorKind.INVALID
    default_message = "There is no such setting."


class SettingInvalid(DomainError):
    """A value is of the wrong type, out of its bounds, or cannot be set at all."""

    code = "SETTING_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The setting cannot have this value."


class SystemReadOnly(DomainError):
    """The registry is in read-only mode, and the request would change content."""

    code = "READ_ONLY"
    kind = ErrorKind.DENIED
    default_message = "The registry is in read-only mode. Content can be pulled, not changed."
