"""What can be refused about restoring."""

from core.common.errors import DomainError, ErrorKind


class TrashEntryUnknown(DomainError):
    """The trash of the project has no such entry, or no longer."""

    code = "TRASH_ENTRY_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such entry in the trash."


class NameTakenMeanwhile(DomainError):
    """Something else has the name that an entry of the trash would return to."""

    code = "RESTORE_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "Something else has the name meanwhile."


class RestoredTagsInvalid(DomainError):
    """Tags were chosen that the entry does not have."""

    code = "RESTORE_TAGS_INVALID"
    kind = ErrorKind.INVALID
    default_message = "tags: only tags of a deleted manifest can be chosen."
