"""What can be refused about projects."""

from core.common.errors import DomainError, ErrorKind


class ProjectNameInvalid(DomainError):
    """The name does not follow the rules for project names."""

    code = "PROJECT_NAME_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "project_name must have 1 to 255 characters: lower-case letters and digits, with single "
        "'.', '_' or '-' between them."
    )


class ProjectNameTaken(DomainError):
    """Another project has the name."""

    code = "PROJECT_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A project of this name exists already."


class ProjectUnknown(DomainError):
    """There is no such project, or the caller may not know of it."""

    code = "PROJECT_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such project."


class MetadataInvalid(DomainError):
    """A name or value of a project's metadata cannot be; the message names it."""

    code = "METADATA_INVALID"
    kind = ErrorKind.INVALID
    default_message = "The metadata is not valid."


class MetadataExists(DomainError):
    """The project has a value under that name already."""

    code = "METADATA_EXISTS"
    kind = ErrorKind.CONFLICT
    default_message = "The project has this metadata already."


class MetadataUnknown(DomainError):
    """The project has no value under that name."""

    code = "METADATA_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "The project has no such metadata."


class ProjectNotEmpty(DomainError):
    """The project still holds repositories, so it cannot be deleted."""

    code = "PROJECT_NOT_EMPTY"
    kind = ErrorKind.PRECONDITION
    default_message = "The project still holds repositories; delete them first."
