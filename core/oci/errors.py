"""Refusals of malformed OCI vocabulary, with the codes registry clients know."""

from typing import ClassVar

from core.common.errors import DomainError, ErrorKind

_EXCERPT_CHARACTERS = 80


def excerpt(value: object) -> str:
    """Return a short printable rendering of an untrusted value for an error message."""
    text = value if isinstance(value, str) else type(value).__name__
    if len(text) > _EXCERPT_CHARACTERS:
        return f"{text[:_EXCERPT_CHARACTERS]!r}..."
    return repr(text)


class DigestInvalid(DomainError):
    """A digest breaks the grammar or names an algorithm that is not supported."""

    code: ClassVar[str] = "DIGEST_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The digest is not valid."


class EntityTagsInvalid(DomainError):
    """An If-Match or If-None-Match header is longer than the registry reads."""

    code: ClassVar[str] = "ENTITY_TAGS_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The list of entity tags is too long."


class NameInvalid(DomainError):
    """A repository name breaks the grammar, is too long or lacks the project."""

    code: ClassVar[str] = "NAME_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The repository name is not valid."


class TagInvalid(DomainError):
    """A tag breaks the grammar."""

    code: ClassVar[str] = "TAG_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The tag is not valid."


class ManifestInvalid(DomainError):
    """A manifest is not strict JSON, or breaks the rules of its media type."""

    code: ClassVar[str] = "MANIFEST_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The manifest is not valid."


class ManifestTooLarge(DomainError):
    """A manifest is longer than the registry accepts."""

    code: ClassVar[str] = "MANIFEST_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.TOO_LARGE
    default_message: ClassVar[str] = "The manifest is too large."


class RangeNotSatisfiable(DomainError):
    """No byte that the Range header asks for exists; ``size`` belongs in Content-Range."""

    code: ClassVar[str] = "RANGE_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.RANGE
    default_message: ClassVar[str] = "The requested range is not satisfiable."

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(detail={"size": size})


class ContentRangeInvalid(DomainError):
    """The Content-Range header of an upload chunk is malformed."""

    code: ClassVar[str] = "BLOB_UPLOAD_INVALID"
    kind: ClassVar[ErrorKind] = ErrorKind.INVALID
    default_message: ClassVar[str] = "The Content-Range header must be <first>-<last>."
