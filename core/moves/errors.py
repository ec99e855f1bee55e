"""What can be refused about moves."""

from core.common.errors import DomainError, ErrorKind


class AlreadyThere(DomainError):
    """The project has that name, or the repository is in that project, already."""

    code = "ALREADY_THERE"
    kind = ErrorKind.CONFLICT
    default_message = "It has that name already."
