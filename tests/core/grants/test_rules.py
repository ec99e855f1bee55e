"""What the three rights contain."""

import pytest

from core.grants.errors import RightUnknown
from core.grants.rules import PERMISSIONS_OF_RIGHT, right_of
from core.grants.types import RepositoryRight
from core.rbac.permissions import PROJECT_PERMISSIONS
from core.rbac.roles import BUILT_IN_ROLES, MAINTAINER

pytestmark = pytest.mark.pure

PULL = PERMISSIONS_OF_RIGHT[RepositoryRight.PULL]
PUSH = PERMISSIONS_OF_RIGHT[RepositoryRight.PUSH]
DELETE = PERMISSIONS_OF_RIGHT[RepositoryRight.DELETE]


def test_rights_use_the_vocabulary_of_projects() -> None:
    for permissions in PERMISSIONS_OF_RIGHT.values():
        assert permissions <= PROJECT_PERMISSIONS


def test_rights_stay_below_those_of_a_maintainer() -> None:
    for permissions in PERMISSIONS_OF_RIGHT.values():
        assert permissions <= BUILT_IN_ROLES[MAINTAINER]


def test_pull_only_reads() -> None:
    assert {name.partition(":")[2] for name in PULL} == {"read", "list", "pull"}
    assert "repository:pull" in PULL


def test_push_adds_writing_but_no_deleting() -> None:
    assert PULL < PUSH
    assert {"repository:push", "artifact:create", "tag:create"} <= PUSH
    assert not {"repository:delete", "artifact:delete", "tag:delete"} & PUSH


def test_delete_neither_pulls_nor_pushes() -> None:
    assert {"repository:delete", "artifact:delete", "tag:delete", "tag:list"} <= DELETE
    assert not {"repository:pull", "repository:push"} & DELETE


def test_no_right_reaches_the_project_around_the_repository() -> None:
    for permissions in PERMISSIONS_OF_RIGHT.values():
        assert not {name for name in permissions if name.startswith(("project:", "member:"))}


@pytest.mark.parametrize("text", ["pull", "push", "delete"])
def test_names(text: str) -> None:
    assert right_of(text) == text


@pytest.mark.parametrize("text", ["", "Pull", "repository:pull", "*"])
def test_other_names(text: str) -> None:
    with pytest.raises(RightUnknown):
        right_of(text)
