"""References as clients write them, taken apart."""


def repository_of(reference: str) -> str:
    """Return ``project/name`` of ``host:port/project/name:tag``."""
    return reference.partition("/")[2].rpartition(":")[0]


def tag_of(reference: str) -> str:
    """Return the tag of a reference."""
    return reference.rpartition(":")[2]
