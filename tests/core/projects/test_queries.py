"""Reading projects."""

import pytest

from core.projects import queries
from core.projects.errors import ProjectUnknown
from core.rbac.types import Target
from tests.factories.projects import make_project

pytestmark = pytest.mark.django_db


def test_find_and_get() -> None:
    project = make_project("team")
    assert queries.find_project("team") == project
    assert queries.get_project("team") == project
    assert queries.get_project_by_id(project.pk) == project


@pytest.mark.parametrize("name", ["other", "TEAM", "te\x00am", ""])
def test_names_that_no_project_has(name: str) -> None:
    make_project("team")
    assert queries.find_project(name) is None
    with pytest.raises(ProjectUnknown):
        queries.get_project(name)


def test_unknown_id() -> None:
    with pytest.raises(ProjectUnknown):
        queries.get_project_by_id(1)


def test_list_is_in_order_of_names() -> None:
    for name in ("b", "a.x", "a-x"):
        make_project(name)
    assert [project.name for project in queries.list_projects()] == ["a-x", "a.x", "b"]


def test_target() -> None:
    project = make_project("team", is_public=True)
    assert queries.target_of(project) == Target(
        project_id=project.pk, project_name="team", is_public=True
    )
