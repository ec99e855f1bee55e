"""Clients that write null for what they leave out: nothing is refused, and nothing else changes."""

from typing import Any

import pytest

from tests.core.api.cast import body_of, undone
from tests.core.api.stage import Stage
from tests.core.api.test_matrix import REPOSITORY, ROBOT

pytestmark = pytest.mark.django_db


def _robot(**members: Any) -> dict[str, Any]:
    (permission,) = ROBOT["permissions"]
    accesses = [{"resource": "repository", "action": "pull", "effect": None}]
    return {**ROBOT, "permissions": [{**permission, "access": accesses}], **members}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        (
            "POST",
            "/labels",
            {"name": "x", "scope": "g", "description": None, "color": None},
            201,
        ),
        ("PUT", "/labels/{label}", {"name": "x", "description": None, "color": None}, 200),
        (
            "POST",
            "/robots",
            _robot(description=None, disable=None, secret=None, duration=None),
            201,
        ),
        ("PUT", "/robots/{robot}", {"description": None, "disable": None, "name": None}, 200),
        ("PATCH", "/robots/{robot}", {"secret": None}, 200),
        (
            "POST",
            "/users",
            {
                "username": "new",
                "password": "Correct-horse-1",
                "email": None,
                "realname": None,
                "comment": None,
            },
            201,
        ),
        (
            "POST",
            "/projects/secret/members",
            {
                "role_id": 2,
                "member_user": {"user_id": None, "username": "outsider"},
                "member_group": None,
            },
            201,
        ),
        ("PUT", REPOSITORY, {"description": None}, 200),
        ("POST", "/usergroups", {"group_name": "g", "group_type": 3, "ldap_group_dn": None}, 201),
        ("POST", "/labels", {"name": None, "scope": "g"}, 422),
    ],
)
def test_null_for_what_may_be_left_out(
    stage: Stage, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    with undone():
        response = stage.cast["admin"].call(method, stage.path(path), body)
    assert response.status_code == status, response.content


def test_null_changes_nothing_where_left_out_means_unchanged(stage: Stage) -> None:
    admin, user = stage.cast["admin"], stage.path("/users/{guest}")
    with undone():
        profile = {"email": "guest@example.org", "realname": "Guest", "comment": "seen"}
        assert admin.put(user, profile).status_code == 200
        changed = {"email": None, "realname": None, "comment": "again"}
        assert admin.put(user, changed).status_code == 200
        assert body_of(admin.get(user)).items() >= {**profile, "comment": "again"}.items()
