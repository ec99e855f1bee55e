"""Refusals say which member, parameter or header they are about."""

import gzip
import json
from typing import Any

import pytest

from tests.core.api.cast import errors_of, undone
from tests.core.api.stage import Stage
from tests.core.api.test_matrix import ARTIFACT, REPOSITORY, ROBOT, SYSTEM_ROBOT

pytestmark = pytest.mark.django_db

BULK = f"{REPOSITORY}/artifacts/bulk"
DIGEST = "sha256:" + "0" * 64


def robot(base: dict[str, Any], **members: Any) -> dict[str, Any]:
    (permission,) = base["permissions"]
    return {**base, "permissions": [{**permission, **members}]}


ELSEWHERE = {"kind": "project", "namespace": "nowhere", "access": ROBOT["permissions"][0]["access"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "beginning"),
    [
        ("POST", "/robots", robot(ROBOT, namespace="nowhere"), 404, "permissions.namespace: "),
        ("POST", "/robots", robot(ROBOT, kind="system"), 400, "permissions.kind must be"),
        (
            "POST",
            "/robots",
            robot(ROBOT, kind="system", namespace="/"),
            400,
            "permissions.kind must be",
        ),
        (
            "POST",
            "/robots",
            {**SYSTEM_ROBOT, "permissions": [ELSEWHERE]},
            400,
            "permissions.namespace: ",
        ),
        ("GET", "/robots?q=Level=project,ProjectID=7", None, 404, "ProjectID: "),
        (
            "POST",
            "/projects/secret/members",
            {"role_id": 99, "member_user": {"username": "outsider"}},
            404,
            "role_id: There is no such role.",
        ),
        ("PUT", "/projects/secret/members/{member}", {"role_id": 99}, 404, "role_id: "),
        (
            "POST",
            "/projects/secret/members",
            {"role_id": 2, "member_user": {"username": "nobody"}},
            404,
            "member_user: There is no such user.",
        ),
        (
            "POST",
            "/projects/secret/members",
            {"role_id": 2, "member_group": {"id": 999_999}},
            404,
            "member_group: There is no such group.",
        ),
        ("POST", f"{ARTIFACT}/tags", {"name": "-x"}, 400, "name: '-x' is not a tag"),
        ("POST", BULK, {"action": "untag", "tags": ["v1", "-x"]}, 400, "tags: '-x' is not a tag"),
        (
            "POST",
            BULK,
            {"action": "tag", "tags": ["-x"], "digests": [DIGEST]},
            400,
            "tags: '-x' is not a tag",
        ),
        ("POST", BULK, {"action": "delete", "digests": [DIGEST, "x"]}, 400, "digests[1]: "),
        (
            "POST",
            BULK,
            {"action": "untag", "selector": {"tag_pattern": "["}},
            400,
            "selector.tag_pattern: A bracket [ is not closed.",
        ),
        (
            "POST",
            "/roles",
            {"name": "x", "permissions": ["tag:lift"]},
            400,
            "permissions: No such permission in projects: tag:lift.",
        ),
        (
            "POST",
            "/robots",
            robot(ROBOT, access=[{"resource": "5", "action": "pull"}]),
            400,
            "permissions.access: bad request permission: 5:pull",
        ),
        ("POST", "/robots", [], 422, "The body must be an object."),
        (
            "POST",
            "/projects/secret/members",
            {"role_id": 2, "member_user": []},
            422,
            "member_user: Must be an object.",
        ),
    ],
)
def test_members_are_named(
    stage: Stage, method: str, path: str, body: Any, status: int, beginning: str
) -> None:
    with undone():
        response = stage.cast["admin"].call(method, stage.path(path), body)
    assert response.status_code == status, response.content
    assert errors_of(response)[0]["message"].startswith(beginning)


@pytest.mark.parametrize(
    ("method", "path", "body", "member"),
    [
        ("POST", "/projects/secret/rename", {"project_name": 5}, "project_name"),
        ("POST", f"{REPOSITORY}/transfer", {"project": 1}, "project"),
        ("POST", "/projects", {"project_name": 5}, "project_name"),
        ("PUT", "/projects/secret", {"metadata": {"proxy_speed_kb": 5}}, "metadata"),
        ("POST", "/projects/secret/metadatas/", {"proxy_speed_kb": 5}, "proxy_speed_kb"),
        ("PUT", "/system/CVEAllowlist", {"items": [{"cve_id": 5}]}, "cve_id"),
        ("POST", "/labels", {"name": 5, "scope": "g"}, "name"),
        ("POST", "/users", {"username": 5, "password": "Correct-horse-1"}, "username"),
        ("POST", "/usergroups", {"group_name": 5}, "group_name"),
        (
            "POST",
            "/projects/secret/members",
            {"role_id": 2, "member_user": {"username": 5}},
            "username",
        ),
        ("POST", f"{REPOSITORY}/grants", {"username": 5, "right": "pull"}, "username"),
        ("POST", f"{ARTIFACT}/tags", {"name": 5}, "name"),
        ("POST", BULK, {"action": "untag", "tags": [5]}, "tags"),
        ("POST", BULK, {"action": "delete", "selector": {"tag_pattern": 5}}, "tag_pattern"),
        ("PUT", REPOSITORY, {"description": 5}, "description"),
        ("POST", "/robots", {**ROBOT, "name": 5}, "name"),
        ("PATCH", "/robots/{robot}", {"secret": 12345678}, "secret"),
        ("POST", "/users/current/tokens", {"name": 5, "scopes": ["management:read"]}, "name"),
        ("POST", "/roles", {"name": "x", "permissions": [5]}, "permissions"),
        (
            "POST",
            "/projects/secret/immutabletagrules",
            {"tag_selectors": [{"decoration": "matches", "pattern": 5}]},
            "pattern",
        ),
    ],
)
def test_a_number_is_no_text(
    stage: Stage, method: str, path: str, body: dict[str, Any], member: str
) -> None:
    with undone():
        response = stage.cast["admin"].call(method, stage.path(path), body)
    assert response.status_code == 422, response.content
    message = errors_of(response)[0]["message"]
    assert (member in message, "Not a valid string." in message) == (True, True), message


@pytest.mark.parametrize(
    ("path", "headers", "content_type", "wanted"),
    [
        ("/c/login", {}, "application/json", "application/x-www-form-urlencoded"),
        ("/labels", {}, "application/x-www-form-urlencoded", "application/json"),
        ("/labels", {"Content_Encoding": "gzip"}, "application/json", "Content-Encoding"),
        (
            "/c/login",
            {"Content_Encoding": "br"},
            "application/x-www-form-urlencoded",
            "Content-Encoding",
        ),
    ],
)
def test_bodies_that_are_not_read(
    stage: Stage, path: str, headers: dict[str, str], content_type: str, wanted: str
) -> None:
    body = gzip.compress(json.dumps({"name": "x", "scope": "g"}).encode())
    response = stage.cast["admin"].call(
        "POST", path, raw=body, content_type=content_type, **headers
    )
    assert response.status_code == 415
    assert wanted in errors_of(response)[0]["message"]


def test_a_body_that_is_encoded_as_it_is(stage: Stage) -> None:
    body = {"name": "x", "scope": "g"}
    with undone():
        response = stage.cast["admin"].post("/labels", body, Content_Encoding="Identity")
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), 404).items(),
        *dict.fromkeys(("0", "f", "F", "FALSE", "false", "False", ""), 200).items(),
        ("ture", 422),
    ],
)
def test_headers_are_true_or_false(stage: Stage, text: str, status: int) -> None:
    path = stage.path("/projects/{project}")
    response = stage.cast["admin"].get(path, X_Is_Resource_Name=text)
    assert response.status_code == status
    if status == 422:
        message = errors_of(response)[0]["message"]
        assert message == "X-Is-Resource-Name in header must be true or false."
