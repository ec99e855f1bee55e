"""Reading memberships."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.members import queries
from core.members.errors import MemberUnknown
from tests.factories.members import make_group, make_member, make_person
from tests.factories.projects import make_project

pytestmark = pytest.mark.django_db


def test_list_reads_subjects_and_roles_with_one_statement() -> None:
    project, other = make_project("team"), make_project("other")
    for name in ("dana", "bob", "carl"):
        make_member(project, make_person(name), "guest")
    make_member(project, make_group("admins"), "projectAdmin")
    make_member(other, make_person("zoe"), "guest")
    with CaptureQueriesContext(
        connection,
    ) as statements:
        found = [
            (m.subject_name, m.role.name, m.user or m.group) for m in queries.list_members(project)
        ]
    assert [row[:2] for row in found] == [
        ("admins", "projectAdmin"),
        ("bob", "guest"),
        ("carl", "guest"),
        ("dana", "guest"),
    ]
    assert len(statements) == 1


def test_get_member_looks_in_its_project_only() -> None:
    project, other = make_project("team"), make_project("other")
    membership = make_member(project, make_person("dana"), "guest")
    assert queries.get_member(project, membership.pk) == membership
    with pytest.raises(MemberUnknown):
        queries.get_member(other, membership.pk)


def test_roles_of_user_counts_groups() -> None:
    one, two = make_project("one"), make_project("two")
    dana = make_person("dana")
    make_member(one, dana, "guest")
    make_member(one, make_group("a", dana), "developer")
    make_member(two, make_group("b", dana), "maintainer")
    make_member(two, make_group("c", make_person("emil")), "projectAdmin")
    assert queries.roles_of_user(dana.pk) == {
        one.pk: frozenset({2, 3}),
        two.pk: frozenset({4}),
    }


def test_count_by_role() -> None:
    project = make_project("team")
    for name, role in (("a", "guest"), ("b", "guest"), ("c", "developer")):
        make_member(project, make_person(name), role)
    assert queries.count_members_by_role(project) == {2: 1, 3: 2}
