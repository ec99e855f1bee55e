"""Roles: what they may list and who may give them. Pure decisions."""

import re
from collections.abc import Iterable

from core.members.errors import (
    RoleBuiltIn,
    RoleNameInvalid,
    RoleNameTaken,
    RolePermissionUnknown,
    RoleTooWide,
)
from core.rbac.permissions import PROJECT_PERMISSIONS
from core.rbac.roles import BUILT_IN_ROLE_IDS, BUILT_IN_ROLES

MAXIMUM_ROLE_NAME_LENGTH = 64

_ROLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_BUILT_IN_NAMES = frozenset(name.lower() for name in BUILT_IN_ROLES)
_BUILT_IN_IDS = frozenset(BUILT_IN_ROLE_IDS.values())


def is_valid_role_name(name: str) -> bool:
    """Tell whether a role could have the name."""
    return len(name) <= MAXIMUM_ROLE_NAME_LENGTH and _ROLE_NAME.fullmatch(name) is not None


def ensure_valid_role_name(name: str) -> None:
    """Refuse names that are malformed or look like a built-in role.

    Raises ``RoleNameInvalid`` and ``RoleNameTaken``.
    """
    if not is_valid_role_name(name):
        raise RoleNameInvalid
    if name.lower() in _BUILT_IN_NAMES:
        raise RoleNameTaken


def checked_permissions(permissions: Iterable[str]) -> list[str]:
    """Return the permissions sorted and without repetition.

    Raises ``RolePermissionUnknown`` for names outside the vocabulary of projects.
    """
    wanted = frozenset(permissions)
    unknown = sorted(wanted - PROJECT_PERMISSIONS)
    if unknown:
        raise RolePermissionUnknown(
            f"permissions: No such permission in projects: {', '.join(unknown)}.",
            detail={"permissions": unknown},
        )
    return sorted(wanted)


def permissions_of(name: str, listed: Iterable[str] | None) -> frozenset[str]:
    """Return what a role holds: its own list, or the matrix of a built-in role."""
    return BUILT_IN_ROLES[name] if listed is None else frozenset(listed)


def is_built_in(role_id: int) -> bool:
    """Tell whether the id is that of a built-in role."""
    return role_id in _BUILT_IN_IDS


def ensure_custom(role_id: int) -> None:
    """Refuse to touch a built-in role. Raises ``RoleBuiltIn``."""
    if is_built_in(role_id):
        raise RoleBuiltIn


def ensure_within(wanted: frozenset[str], held: frozenset[str]) -> None:
    """Refuse to give away more than the giver holds. Raises ``RoleTooWide``.

    A project administrator holds everything in the project and may give any role; somebody
    with a custom role that manages members cannot make an administrator of an accomplice.
    """
    missing = sorted(wanted - held)
    if missing:
        raise RoleTooWide(detail={"permissions": missing})
