"""Names of projects: pure decisions."""

import re

from core.projects.errors import ProjectNameInvalid

LIBRARY = "library"
"""The public project that every installation starts with."""

MAXIMUM_NAME_LENGTH = 255

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


def is_valid_name(name: str) -> bool:
    """Tell whether a project could have the name."""
    return len(name) <= MAXIMUM_NAME_LENGTH and _NAME.fullmatch(name) is not None


def ensure_valid_name(name: str) -> None:
    """Refuse a name that could not be the first component of a repository name.

    Raises ``ProjectNameInvalid``.
    """
    if not is_valid_name(name):
        raise ProjectNameInvalid(detail={"name": name[:MAXIMUM_NAME_LENGTH]})
