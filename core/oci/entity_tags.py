"""The headers If-Match and If-None-Match: lists of entity tags (RFC 9110, section 13.1).

Our entity tags are digests in quotes. None holds a comma, so a list is split at its commas,
in time proportional to its length.
"""

from typing import Final, NamedTuple

from core.oci.digest import Digest
from core.oci.errors import EntityTagsInvalid

MAX_HEADER_CHARACTERS: Final = 8_192
ANY: Final = "*"


class EntityTags(NamedTuple):
    """The entries of such a header, without the marks of weak comparison."""

    entries: frozenset[str]

    def names(self, digest: Digest) -> bool:
        """Tell whether existing content of that digest is meant."""
        return ANY in self.entries or entity_tag(digest) in self.entries


def entity_tag(digest: Digest) -> str:
    """Return the strong entity tag of immutable content."""
    return f'"{digest}"'


def parse_entity_tags(header: str) -> EntityTags:
    """Return what a header lists. Raises EntityTagsInvalid when it is too long."""
    if len(header) > MAX_HEADER_CHARACTERS:
        raise EntityTagsInvalid
    return EntityTags(frozenset(entry.strip().removeprefix("W/") for entry in header.split(",")))
