"""The five built-in roles and what anyone may do in a public project.

The table is Harbor's, cell by cell, with two deliberate repairs: whoever may read a project's
metadata one by one may also list it, and visitors of a public project may read a repository
that they may list. The trash, which Harbor does not have, is for the roles that may delete; of
them only administrators of the project empty it.
"""

from core.rbac.permissions import PROJECT_PERMISSIONS, expand

PROJECT_ADMIN = "projectAdmin"
MAINTAINER = "maintainer"
DEVELOPER = "developer"
GUEST = "guest"
LIMITED_GUEST = "limitedGuest"

BUILT_IN_ROLE_IDS = {
    PROJECT_ADMIN: 1,
    DEVELOPER: 2,
    GUEST: 3,
    MAINTAINER: 4,
    LIMITED_GUEST: 5,
}
"""Role name to its row id, which is Harbor's ``role_id``."""

_READ_CONTENT = {
    "project": "R",
    "configuration": "R",
    "quota": "R",
    "artifact": "RL",
    "artifact-addition": "R",
    "accessory": "L",
    "tag": "L",
    "scan": "R",
    "scanner": "R",
}

BUILT_IN_ROLES: dict[str, frozenset[str]] = {
    PROJECT_ADMIN: PROJECT_PERMISSIONS,
    MAINTAINER: expand(
        {
            **_READ_CONTENT,
            "member": "RL",
            "metadata": "RL",
            "repository": "CRUDL pull push",
            "artifact": "CRDL",
            "artifact-label": "CD",
            "tag": "CDL",
            "label": "CRUDL",
            "tag-retention": "CRUDL operate",
            "trash": "L restore",
            "immutable-tag": "CUDL",
            "robot": "RL",
            "notification-policy": "RL",
            "scan": "CR stop",
            "sbom": "CR stop",
            "export-cve": "CRL",
        }
    ),
    DEVELOPER: expand(
        {
            **_READ_CONTENT,
            "member": "RL",
            "repository": "CRUL pull push",
            "artifact": "CRL",
            "artifact-label": "CD",
            "tag": "CL",
            "label": "RL",
            "tag-retention": "CRUDL operate",
            "robot": "RL",
            "sbom": "R",
            "export-cve": "CRL",
        }
    ),
    GUEST: expand(
        {
            **_READ_CONTENT,
            "member": "RL",
            "repository": "RL pull",
            "label": "RL",
            "robot": "RL",
            "sbom": "R",
        }
    ),
    LIMITED_GUEST: expand({**_READ_CONTENT, "repository": "RL pull", "sbom": "R"}),
}

PUBLIC_PERMISSIONS = expand(
    {
        "project": "R",
        "repository": "RL pull",
        "artifact": "RL",
        "artifact-addition": "R",
        "accessory": "L",
        "tag": "L",
        "label": "RL",
        "scan": "R",
        "scanner": "R",
    }
)
"""What everyone, anonymous callers included, may do in a public project."""
