"""Memberships: giving, changing and taking roles."""

from dataclasses import replace

import pytest

from core.audit.models import AuditEntry
from core.members import queries
from core.members.errors import (
    MemberExists,
    MemberUnknown,
    RoleTooWide,
    RoleUnknown,
    SubjectUnknown,
)
from core.members.models import Membership, Role
from core.members.services import (
    add_member,
    change_role,
    create_project_with_owner,
    remove_member,
)
from core.projects.errors import ProjectNameTaken, ProjectUnknown
from core.projects.models import Project
from core.rbac.types import Actor, ActorKind
from core.users.models import Group, Revocation, User
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


def revoked() -> dict[str, bool]:
    """Subjects whose registry tokens ended, and whether their logins ended too."""
    withdrawn = Revocation.objects.filter(generation__gt=0)
    return {row.subject: row.credentials_generation > 0 for row in withdrawn}


def test_the_creator_becomes_administrator() -> None:
    olivia = make_person("olivia")
    project = create_project_with_owner("team", actor=actor_of(olivia))
    membership = Membership.objects.get(project=project)
    assert (membership.user, membership.role.name) == (olivia, "projectAdmin")
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "projects.project.created",
        "members.membership.added",
    }


def test_the_system_creates_without_members() -> None:
    create_project_with_owner("team", actor=SYSTEM)
    assert not Membership.objects.exists()


def test_a_taken_name_leaves_no_membership() -> None:
    make_project("team")
    with pytest.raises(ProjectNameTaken):
        create_project_with_owner("team", actor=actor_of(make_person("olivia")))
    assert not Membership.objects.exists()


def test_add_a_user_and_a_group() -> None:
    project, dana = make_project("team"), make_person("dana")
    testers = make_group("testers", dana)
    add_member(project, user=dana, role=built_in("developer"), actor=SYSTEM)
    add_member(project, group=testers, role=built_in("guest"), actor=SYSTEM)
    members = list(queries.list_members(project))
    assert [(m.subject_name, m.role.name) for m in members] == [
        ("dana", "developer"),
        ("testers", "guest"),
    ]
    entries = AuditEntry.objects.order_by("id")
    assert [
        (one.target_kind, one.target_label, (one.detail or {})["holder"]) for one in entries
    ] == [
        ("member", "dana", "user"),
        ("member", "testers", "group"),
    ]


def test_a_new_role_withdraws_no_token() -> None:
    add_member(make_project("team"), user=make_person("dana"), role=built_in("guest"), actor=SYSTEM)
    assert revoked() == {}


def test_add_twice() -> None:
    project, dana = make_project("team"), make_person("dana")
    add_member(project, user=dana, role=built_in("guest"), actor=SYSTEM)
    with pytest.raises(MemberExists):
        add_member(project, user=dana, role=built_in("developer"), actor=SYSTEM)
    assert Membership.objects.get().role.name == "guest"


def test_add_needs_exactly_one_subject() -> None:
    project, dana = make_project("team"), make_person("dana")
    for user, group in ((None, None), (dana, make_group("testers"))):
        with pytest.raises(ValueError, match="one user or to one group"):
            add_member(project, user=user, group=group, role=built_in("guest"), actor=SYSTEM)


def test_add_what_is_gone_meanwhile() -> None:
    project, guest = make_project("team"), built_in("guest")
    dana, group, role = make_person("dana"), make_group("testers"), make_role("auditor", [])
    for thing in (
        User.objects.filter(pk=dana.pk),
        Group.objects.all(),
        Role.objects.filter(pk=role.pk),
    ):
        thing.delete()
    with pytest.raises(SubjectUnknown):
        add_member(project, user=dana, role=guest, actor=SYSTEM)
    with pytest.raises(SubjectUnknown):
        add_member(project, group=group, role=guest, actor=SYSTEM)
    with pytest.raises(RoleUnknown):
        add_member(project, user=make_person("emil"), role=role, actor=SYSTEM)
    Project.objects.all().delete()
    with pytest.raises(ProjectUnknown):
        add_member(project, user=make_person("eve"), role=guest, actor=SYSTEM)


@pytest.mark.parametrize(
    "role", ["projectAdmin", "maintainer", "developer", "guest", "limitedGuest"]
)
def test_a_project_administrator_gives_any_built_in_role(role: str) -> None:
    project, olivia = make_project("team"), make_person("olivia")
    make_member(project, olivia, "projectAdmin")
    add_member(project, user=make_person("dana"), role=built_in(role), actor=actor_of(olivia))
    assert Membership.objects.get(user__username="dana").role.name == role


def test_who_manages_members_cannot_make_an_administrator() -> None:
    project, hugo = make_project("team"), make_person("hugo")
    porter = make_role("porter", ["member:create", "member:update", "repository:pull"])
    make_member(project, hugo, porter)
    dana = make_person("dana")
    with pytest.raises(RoleTooWide):
        add_member(project, user=dana, role=built_in("guest"), actor=actor_of(hugo))
    membership = add_member(project, user=dana, role=porter, actor=actor_of(hugo))
    with pytest.raises(RoleTooWide):
        change_role(membership, built_in("projectAdmin"), actor=actor_of(hugo))
    assert Membership.objects.get(user=dana).role == porter


def test_nobody_takes_away_what_they_do_not_hold() -> None:
    project, hugo, olivia = make_project("team"), make_person("hugo"), make_person("olivia")
    porter = make_role("porter", ["member:update", "member:delete", "repository:pull"])
    own, higher = make_member(project, hugo, porter), make_member(project, olivia, "projectAdmin")
    for take in (
        lambda: remove_member(higher, actor=actor_of(hugo)),
        lambda: change_role(higher, porter, actor=actor_of(hugo)),
    ):
        with pytest.raises(RoleTooWide):
            take()
    assert Membership.objects.get(user=olivia).role.name == "projectAdmin"
    assert (revoked(), AuditEntry.objects.count()) == ({}, 0)
    # A token's scopes are no measure, and robots hold few permissions.
    limited = replace(actor_of(olivia), token_id=1, scopes=frozenset({"management:write"}))
    robot = replace(actor_of(hugo), kind=ActorKind.ROBOT, own_permissions={})
    for actor in (limited, robot):
        remove_member(higher, actor=actor)
        higher = make_member(project, olivia, "projectAdmin")
        AuditEntry.objects.all().delete()
    # Whoever holds everything may, and everybody may leave.
    remove_member(own, actor=actor_of(hugo))
    remove_member(higher, actor=actor_of(olivia))
    assert not Membership.objects.exists()


def test_a_smaller_role_withdraws_tokens_but_not_the_login() -> None:
    project, dana = make_project("team"), make_person("dana")
    membership = make_member(project, dana, "developer")
    change_role(membership, built_in("guest"), actor=SYSTEM)
    assert Membership.objects.get().role.name == "guest"
    assert revoked() == {f"user:{dana.pk}": False}
    entry = AuditEntry.objects.get(action="members.membership.changed")
    assert entry.detail == {"holder": "user", "role": "guest", "role_before": "developer"}


def test_a_wider_role_withdraws_nothing() -> None:
    membership = make_member(make_project("team"), make_person("dana"), "guest")
    change_role(membership, built_in("developer"), actor=SYSTEM)
    assert revoked() == {}


def test_the_same_role_changes_nothing() -> None:
    membership = make_member(make_project("team"), make_person("dana"), "guest")
    change_role(membership, built_in("guest"), actor=SYSTEM)
    assert not AuditEntry.objects.exists()


def test_removing_a_group_withdraws_the_tokens_of_its_users() -> None:
    dana, emil = make_person("dana"), make_person("emil")
    make_person("outsider")
    group = make_group("testers", dana, emil)
    remove_member(make_member(make_project("team"), group, "guest"), actor=SYSTEM)
    assert not Membership.objects.exists()
    assert set(revoked()) == {f"user:{dana.pk}", f"user:{emil.pk}"}
    assert AuditEntry.objects.get().target_label == "testers"


def test_the_last_administrator_may_go() -> None:
    olivia = make_person("olivia")
    project = create_project_with_owner("team", actor=actor_of(olivia))
    remove_member(Membership.objects.get(), actor=actor_of(olivia))
    assert not queries.list_members(project).exists()


def test_removing_twice() -> None:
    membership = make_member(make_project("team"), make_person("dana"), "guest")
    stale = Membership.objects.get()
    remove_member(membership, actor=SYSTEM)
    with pytest.raises(MemberUnknown):
        remove_member(stale, actor=SYSTEM)
    with pytest.raises(MemberUnknown):
        change_role(stale, built_in("developer"), actor=SYSTEM)
