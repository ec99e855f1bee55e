"""Repository names, tags and references (OCI distribution-spec, "Pulling manifests")."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from core.oci.digest import Digest
from core.oci.errors import NameInvalid, TagInvalid, excerpt

MAX_NAME_CHARACTERS: Final = 255
MAX_TAG_CHARACTERS: Final = 128

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, order=True)
class RepositoryName:
    """A full repository name: the project, and the path of one or more components below it.

    Untrusted text becomes a RepositoryName only through ``parse_repository_name``.
    """

    project: str
    path: str

    def __str__(self) -> str:
        return f"{self.project}/{self.path}"


@lru_cache(maxsize=4_096)
def parse_repository_name(text: str, *, limit: int = MAX_NAME_CHARACTERS) -> RepositoryName:
    """Return the name split into project and path.

    ``limit`` is the greatest length in characters; it may lower the 255 that many clients
    share with the host name, never raise them. Raises NameInvalid.
    """
    limit = min(limit, MAX_NAME_CHARACTERS)
    if len(text) > limit:
        raise NameInvalid(f"The repository name is longer than {limit} characters.")
    if not _NAME.fullmatch(text):
        raise NameInvalid(
            f"{excerpt(text)} is not a repository name: components of lowercase letters and "
            "digits, joined inside by '.', '_', '__' or dashes, are separated by '/'."
        )
    project, separator, path = text.partition("/")
    if not separator:
        raise NameInvalid(f"The repository name must be <project>/<repository>, not {text!r}.")
    return RepositoryName(project, path)


def is_tag(text: str) -> bool:
    """Tell whether the text is a valid tag of at most 128 characters."""
    return _TAG.fullmatch(text) is not None


def parse_tag(text: str) -> str:
    """Return the text if it is a tag. Raises TagInvalid."""
    if not is_tag(text):
        raise TagInvalid(
            f"{excerpt(text)} is not a tag: at most {MAX_TAG_CHARACTERS} letters, digits, '_', "
            "'.' and '-', not beginning with '.' or '-'."
        )
    return text


def parse_reference(text: str) -> Digest | str:
    """Return the digest, or the tag as text, that names a manifest.

    Anything with a colon is meant as a digest and never becomes a tag. Raises DigestInvalid
    and TagInvalid.
    """
    if ":" in text:
        return Digest.parse(text)
    return parse_tag(text)
