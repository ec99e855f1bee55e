"""What can be refused about labels."""

from core.common.errors import DomainError, ErrorKind


class LabelInvalid(DomainError):
    """A name, description or colour cannot be; the message names the field."""

    code = "LABEL_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The label is not valid."


class LabelNameTaken(DomainError):
    """The project, or the system, has a label of this name."""

    code = "LABEL_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A label of this name exists already."


class LabelUnknown(DomainError):
    """There is no such label, or it belongs to another project."""

    code = "LABEL_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such label."
