"""Custom roles as rows."""

import pytest

from core.audit.models import AuditEntry
from core.members import queries
from core.members.errors import (
    RoleBuiltIn,
    RoleInUse,
    RoleNameTaken,
    RolePermissionUnknown,
    RoleTooWide,
    RoleUnknown,
)
from core.members.models import Role
from core.members.services import create_role, delete_role, update_role
from core.rbac.roles import BUILT_IN_ROLE_IDS, BUILT_IN_ROLES
from core.rbac.types import Actor
from core.users.models import Revocation
from tests.factories.members import (
    actor_of,
    built_in,
    make_group,
    make_member,
    make_person,
    make_role,
)
from tests.factories.projects import make_project

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def test_built_in_roles_have_rows_with_harbors_numbers() -> None:
    assert {
        role.name: role.pk for role in queries.list_roles() if role.permissions is None
    } == BUILT_IN_ROLE_IDS
    for role in queries.list_roles():
        assert queries.role_permissions(role) == BUILT_IN_ROLES[role.name]


def test_create() -> None:
    role = create_role(
        "auditor",
        permissions=["project:read", "log:list", "log:list"],
        description="Reads.",
        actor=SYSTEM,
    )
    role.refresh_from_db()
    assert role.permissions == ["log:list", "project:read"]
    assert role.pk > 100
    assert queries.get_role_by_name("AUDITOR") == role
    assert AuditEntry.objects.get().action == "members.role.created"


@pytest.mark.parametrize("name", ["auditor", "Auditor", "guest"])
def test_names_are_taken_without_regard_to_case(name: str) -> None:
    make_role("auditor", ["log:list"])
    with pytest.raises(RoleNameTaken):
        create_role(name, permissions=[], actor=SYSTEM)


def test_create_refuses_unknown_permissions() -> None:
    with pytest.raises(RolePermissionUnknown):
        create_role("auditor", permissions=["audit-log:list"], actor=SYSTEM)
    assert Role.objects.count() == len(BUILT_IN_ROLES)


def test_update_that_takes_away_withdraws_the_tokens_of_all_holders() -> None:
    role = make_role("packer", ["repository:pull", "repository:push"])
    dana, emil = make_person("dana"), make_person("emil")
    make_member(make_project("one"), dana, role)
    make_member(make_project("two"), make_group("testers", emil), role)
    update_role(role, permissions=["repository:pull", "tag:list"], actor=SYSTEM)
    assert queries.get_role(role.pk).permissions == ["repository:pull", "tag:list"]
    assert set(Revocation.objects.values_list("subject", flat=True)) == {
        f"user:{dana.pk}",
        f"user:{emil.pk}",
    }


def test_update_that_adds_or_renames_withdraws_nothing() -> None:
    role = make_role("packer", ["repository:pull"])
    make_member(make_project("one"), make_person("dana"), role)
    update_role(
        role,
        name="puller",
        description="Pulls.",
        permissions=["repository:pull", "tag:list"],
        actor=SYSTEM,
    )
    role.refresh_from_db()
    assert (role.name, role.description) == ("puller", "Pulls.")
    assert not Revocation.objects.filter(generation__gt=0).exists()


def test_a_token_adds_nothing_to_a_role_that_it_does_not_cover() -> None:
    """Whoever holds the role, its owner for one, could use it with other credentials."""
    role = make_role("packer", ["repository:pull", "tag:list"])
    token = actor_of(make_person("boss", is_system_admin=True), scopes={"management:write"})
    for permission in ("repository:push", "repository:pull"):
        with pytest.raises(RoleTooWide):
            update_role(role, permissions=["tag:list", permission, "log:list"], actor=token)
        update_role(role, permissions=["tag:list", "log:list"], actor=token)
    assert queries.get_role_by_name("packer").permissions == ["log:list", "tag:list"]


def test_update_to_a_taken_name() -> None:
    make_role("auditor", [])
    with pytest.raises(RoleNameTaken):
        update_role(make_role("packer", []), name="auditor", actor=SYSTEM)


@pytest.mark.parametrize("name", sorted(BUILT_IN_ROLES))
def test_built_in_roles_stay(name: str) -> None:
    with pytest.raises(RoleBuiltIn):
        update_role(built_in(name), permissions=[], actor=SYSTEM)
    with pytest.raises(RoleBuiltIn):
        delete_role(built_in(name), actor=SYSTEM)
    assert built_in(name).permissions is None


def test_delete() -> None:
    role = make_role("auditor", ["log:list"])
    stale = Role.objects.get(pk=role.pk)
    delete_role(role, actor=SYSTEM)
    assert not Role.objects.filter(name="auditor").exists()
    assert AuditEntry.objects.get().target_label == "auditor"
    with pytest.raises(RoleUnknown):
        delete_role(stale, actor=SYSTEM)
    with pytest.raises(RoleUnknown):
        update_role(stale, description="x", actor=SYSTEM)


def test_a_role_in_use_stays() -> None:
    role = make_role("auditor", ["log:list"])
    make_member(make_project("team"), make_person("dana"), role)
    with pytest.raises(RoleInUse):
        delete_role(role, actor=SYSTEM)
    assert queries.get_role(role.pk) == role


@pytest.mark.parametrize("name", ["nobody", "no\x00body", ""])
def test_unknown_role_names(name: str) -> None:
    with pytest.raises(RoleUnknown):
        queries.get_role_by_name(name)
