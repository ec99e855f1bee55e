"""Refusals of repositories and their content."""

from collections.abc import Sequence
from typing import ClassVar

from core.common.errors import DomainError, ErrorKind
from core.oci.digest import Digest


class NameUnknown(DomainError):
    """The project or repository does not exist, or no longer."""

    code: ClassVar[str] = "NAME_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The repository is not known to the registry."


class ManifestUnknown(DomainError):
    """The repository has no manifest under that tag or digest."""

    code: ClassVar[str] = "MANIFEST_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The manifest is not known to the registry."


class BlobUnknown(DomainError):
    """The repository has no such blob."""

    code: ClassVar[str] = "BLOB_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The blob is not known to the registry."


class ManifestBlobUnknown(DomainError):
    """A pushed manifest names content that the repository lacks; ``digests`` lists all of it."""

    code: ClassVar[str] = "MANIFEST_BLOB_UNKNOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The manifest names content unknown to the repository."

    def __init__(self, digests: Sequence[Digest]) -> None:
        self.digests = tuple(digests)
        super().__init__(detail={"digests": [str(digest) for digest in self.digests]})


class PreconditionFailed(DomainError):
    """The tag or manifest is not in the state that If-Match or If-None-Match asks for."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    kind: ClassVar[ErrorKind] = ErrorKind.PRECONDITION
    default_message: ClassVar[str] = "The reference has changed meanwhile."


class ContentInUse(DomainError):
    """The manifest or blob cannot go while another manifest of the repository names it."""

    code: ClassVar[str] = "UNSUPPORTED"
    kind: ClassVar[ErrorKind] = ErrorKind.UNSUPPORTED
    default_message: ClassVar[str] = "The content is in use by another manifest."


class ArtifactInUse(DomainError):
    """The artifact cannot be deleted while an index of the repository lists it."""

    code: ClassVar[str] = "VIOLATE_FOREIGN_KEY_CONSTRAINT"
    kind: ClassVar[ErrorKind] = ErrorKind.PRECONDITION
    default_message: ClassVar[str] = "The artifact is referenced by an index."


class TooManyBelongings(DomainError):
    """More belongs to an artifact than one deletion takes along."""

    code: ClassVar[str] = "TOO_MANY_BELONGINGS"
    kind: ClassVar[ErrorKind] = ErrorKind.PRECONDITION
    default_message: ClassVar[str] = (
        "More belongs to the artifact than goes along with it. Delete accessories first."
    )


class ContentNotShown(DomainError):
    """The content is too large, or of another form, than what the API shows of it."""

    code: ClassVar[str] = "CONTENT_NOT_SHOWN"
    kind: ClassVar[ErrorKind] = ErrorKind.PRECONDITION
    default_message: ClassVar[str] = "The content cannot be shown."


class BulkInvalid(DomainError):
    """A request for many items selects nothing definite, or too much."""

    code: ClassVar[str] = "BULK_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The request does not say what to act on."


class SourceInvalid(DomainError):
    """What is to be copied is not named as a copy wants it."""

    code: ClassVar[str] = "COPY_SOURCE_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = (
        "from must be project/repository:tag or project/repository@digest."
    )


class CopyRefused(DomainError):
    """An artifact that only stands for another one is not copied by itself."""

    code: ClassVar[str] = "DENIED"
    kind: ClassVar[ErrorKind] = ErrorKind.DENIED
    default_message: ClassVar[str] = "An accessory is copied with the artifact that it is about."


class CopyIncomplete(DomainError):
    """Something that the artifact needs is missing or damaged in the source, or too much."""

    code: ClassVar[str] = "COPY_INCOMPLETE"
    kind: ClassVar[ErrorKind] = ErrorKind.PRECONDITION
    default_message: ClassVar[str] = "The source does not hold all of the artifact."


class TagExists(DomainError):
    """The repository has a live tag of that name already."""

    code: ClassVar[str] = "CONFLICT"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = "The tag exists already."


class RepositoryNameTaken(DomainError):
    """Another repository has the name that one would move to."""

    code: ClassVar[str] = "REPOSITORY_NAME_TAKEN"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = "A repository of this name exists already."


class ExpiryInvalid(DomainError):
    """The time after which a tag is to end cannot be read or is out of bounds."""

    code: ClassVar[str] = "EXPIRY_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = (
        "A tag ends at a time to come (expires_at), or after a number of s, m, h, d or w such as "
        "2w (expires_after): at least a minute and at most ten years from now."
    )


class LabelAttached(DomainError):
    """The artifact carries the label already."""

    code: ClassVar[str] = "LABEL_ATTACHED"
    kind: ClassVar[ErrorKind] = ErrorKind.CONFLICT
    default_message: ClassVar[str] = "The artifact has this label already."


class LabelNotAttached(DomainError):
    """The artifact does not carry the label."""

    code: ClassVar[str] = "LABEL_NOT_ATTACHED"
    kind: ClassVar[ErrorKind] = ErrorKind.NOT_FOUND
    default_message: ClassVar[str] = "The artifact does not have this label."


class OutcomeUncertain(DomainError):
    """The database connection broke while committing; asking again settles it."""

    code: ClassVar[str] = "UNAVAILABLE"
    kind: ClassVar[ErrorKind] = ErrorKind.BUSY
    default_message: ClassVar[str] = "The database did not confirm the change. Try again."

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)
