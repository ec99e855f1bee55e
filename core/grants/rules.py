"""What a grant on a repository contains, in names of the permission vocabulary."""

from core.grants.errors import RightUnknown
from core.grants.types import RepositoryRight
from core.rbac.permissions import expand

_PULL = expand(
    {
        "repository": "RL pull",
        "artifact": "RL",
        "artifact-addition": "R",
        "accessory": "L",
        "tag": "L",
        "scan": "R",
        "sbom": "R",
    }
)

PERMISSIONS_OF_RIGHT: dict[RepositoryRight, frozenset[str]] = {
    RepositoryRight.PULL: _PULL,
    # Clients ask which blobs exist before they push, so pushing includes pulling, as it
    # does in every built-in role.
    RepositoryRight.PUSH: _PULL
    | expand({"repository": "CU push", "artifact": "C", "artifact-label": "CD", "tag": "C"}),
    # Nobody can delete with care what they cannot see, so deleting includes looking, but
    # not pulling.
    RepositoryRight.DELETE: (_PULL - {"repository:pull"})
    | expand({"repository": "D", "artifact": "D", "tag": "D"}),
}

_OF_CONTENT = expand(
    {
        "repository": "CUD push",
        "artifact": "CD",
        "artifact-label": "CD",
        "tag": "CD",
        "label": "CUD",
        "trash": "D restore",
    }
)
WHILE_READ_ONLY = "the registry is in read-only mode: content can be pulled, not changed"


def changes_content(permission: str) -> bool:
    """Tell whether all that the permission is for is refused in read-only mode."""
    return permission in _OF_CONTENT


def right_of(text: str) -> RepositoryRight:
    """Return the right of that name. Raises ``RightUnknown``."""
    try:
        return RepositoryRight(text)
    except ValueError:
        raise RightUnknown from None
