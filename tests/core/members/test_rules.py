"""Roles: names, contents and who may give them."""

import pytest

from core.members import rules
from core.members.errors import (
    RoleBuiltIn,
    RoleNameInvalid,
    RoleNameTaken,
    RolePermissionUnknown,
    RoleTooWide,
)
from core.rbac.roles import BUILT_IN_ROLES, DEVELOPER, PROJECT_ADMIN

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("name", ["auditor", "Release.Manager", "a", "a" * 64, "qa_2-x"])
def test_accepts_names(name: str) -> None:
    rules.ensure_valid_role_name(name)
    assert rules.is_valid_role_name(name)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a" * 65, "a\x00", "rôle", "a/b"])
def test_refuses_names(name: str) -> None:
    with pytest.raises(RoleNameInvalid):
        rules.ensure_valid_role_name(name)


@pytest.mark.parametrize("name", [*BUILT_IN_ROLES, "PROJECTADMIN", "Guest"])
def test_built_in_names_are_taken(name: str) -> None:
    with pytest.raises(RoleNameTaken):
        rules.ensure_valid_role_name(name)


def test_permissions_are_sorted_and_unique() -> None:
    wanted = ["tag:list", "artifact:read", "tag:list"]
    assert rules.checked_permissions(wanted) == ["artifact:read", "tag:list"]


@pytest.mark.parametrize("permission", ["user:create", "repository:fly", "", "*"])
def test_permissions_of_the_system_or_of_nothing_are_refused(permission: str) -> None:
    with pytest.raises(RolePermissionUnknown) as caught:
        rules.checked_permissions(["tag:list", permission])
    assert caught.value.detail == {"permissions": [permission]}


def test_permissions_of_roles() -> None:
    assert rules.permissions_of(DEVELOPER, None) == BUILT_IN_ROLES[DEVELOPER]
    assert rules.permissions_of("auditor", ["log:list"]) == {"log:list"}
    assert rules.permissions_of("nothing", []) == frozenset()


@pytest.mark.parametrize("role_id", [1, 2, 3, 4, 5])
def test_built_in_roles_are_fixed(role_id: int) -> None:
    with pytest.raises(RoleBuiltIn):
        rules.ensure_custom(role_id)


def test_custom_roles_are_not_fixed() -> None:
    rules.ensure_custom(101)
    assert not rules.is_built_in(101)


def test_a_project_administrator_may_give_every_built_in_role() -> None:
    for permissions in BUILT_IN_ROLES.values():
        rules.ensure_within(permissions, BUILT_IN_ROLES[PROJECT_ADMIN])


def test_nobody_gives_what_they_do_not_hold() -> None:
    with pytest.raises(RoleTooWide) as caught:
        rules.ensure_within(frozenset({"tag:list", "member:create"}), frozenset({"tag:list"}))
    assert caught.value.detail == {"permissions": ["member:create"]}
