"""The permission matrix of the five built-in roles, cell by cell as Harbor documents it."""

import pytest

from core.rbac.permissions import PERMISSIONS, PROJECT_PERMISSIONS, expand
from core.rbac.roles import BUILT_IN_ROLE_IDS, BUILT_IN_ROLES, PUBLIC_PERMISSIONS

COLUMNS = ("projectAdmin", "maintainer", "developer", "guest", "limitedGuest", "public")
MATRIX = {
    "project": ("RUD", "R", "R", "R", "R", "R"),
    "member": ("CRUDL", "RL", "RL", "RL", "", ""),
    # Listing comes with reading: Harbor lets nobody but system administrators list.
    "metadata": ("CRUDL", "RL", "", "", "", ""),
    "configuration": ("RU", "R", "R", "R", "R", ""),
    "log": ("L", "", "", "", "", ""),
    "quota": ("R", "R", "R", "R", "R", ""),
    # Visitors of a public project may read what they may list.
    "repository": (
        "CRUDL pull push",
        "CRUDL pull push",
        "CRUL pull push",
        "RL pull",
        "RL pull",
        "RL pull",
    ),
    "artifact": ("CRDL", "CRDL", "CRL", "RL", "RL", "RL"),
    "artifact-addition": ("R", "R", "R", "R", "R", "R"),
    "artifact-label": ("CD", "CD", "CD", "", "", ""),
    "accessory": ("L", "L", "L", "L", "L", "L"),
    "tag": ("CDL", "CDL", "CL", "L", "L", "L"),
    "label": ("CRUDL", "CRUDL", "RL", "RL", "", "RL"),
    "tag-retention": ("CRUDL operate", "CRUDL operate", "CRUDL operate", "", "", ""),
    "trash": ("DL restore", "L restore", "", "", "", ""),
    "immutable-tag": ("CUDL", "CUDL", "", "", "", ""),
    "robot": ("CRUDL", "RL", "RL", "RL", "", ""),
    "notification-policy": ("CRUDL", "RL", "", "", "", ""),
    "scan": ("CR stop", "CR stop", "R", "R", "R", "R"),
    "sbom": ("CR stop", "CR stop", "R", "R", "R", ""),
    "scanner": ("CR", "R", "R", "R", "R", "R"),
    "export-cve": ("CRL", "CRL", "CRL", "", "", ""),
    "preheat-policy": ("CRUDL", "", "", "", "", ""),
}


@pytest.mark.parametrize(("column", "name"), list(enumerate(COLUMNS)))
def test_role_holds_exactly_its_column(column: int, name: str) -> None:
    expected = expand({resource: cells[column] for resource, cells in MATRIX.items()})
    assert BUILT_IN_ROLES.get(name, PUBLIC_PERMISSIONS) == expected


def test_every_project_permission_is_in_the_matrix() -> None:
    assert {permission.split(":")[0] for permission in PROJECT_PERMISSIONS} == set(MATRIX)


def test_roles_have_harbor_ids() -> None:
    assert BUILT_IN_ROLE_IDS == {
        "projectAdmin": 1,
        "developer": 2,
        "guest": 3,
        "maintainer": 4,
        "limitedGuest": 5,
    }
    assert set(BUILT_IN_ROLE_IDS) == set(BUILT_IN_ROLES)


def test_permission_names_are_resource_and_action() -> None:
    assert all(permission.count(":") == 1 for permission in PERMISSIONS)
