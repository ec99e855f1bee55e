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
    """The entries of such a header; the weak ones carry their mark."""

    entries: frozenset[str]

    def names(self, tag: str) -> bool:
        """Tell whether If-Match means what exists with a strong tag (strong comparison)."""
        return ANY in self.entries or tag in self.entries

    def names_weakly(self, tag: str) -> bool:
        """Tell whether If-None-Match means it (weak comparison)."""
        return self.names(tag) or f"W/{tag}" in self.entries


def entity_tag(digest: Digest) -> str:
    """Return the strong entity tag of immutable content."""
    return f'"{digest}"'


def parse_entity_tags(header: str) -> EntityTags:
    """Return what a header lists. Raises EntityTagsInvalid when it is too long."""
    if len(header) > MAX_HEADER_CHARACTERS:
        raise EntityTagsInvalid
    return EntityTags(frozenset(entry.strip() for entry in header.split(",")))
