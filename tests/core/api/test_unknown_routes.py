"""Paths that are no route: some lead to one without their last slash, others say what is wrong."""

import json

import pytest
from django.urls import get_resolver

from core.api.converters import decoded_path
from core.api.system import openapi_document
from tests.core.api.cast import BASE, anonymous, errors_of, undone
from tests.core.api.stage import Stage
from tests.core.api.test_matrix import ARTIFACT, CASES, REPOSITORY

pytestmark = pytest.mark.django_db


def test_every_route_is_also_one_with_a_slash_at_its_end(stage: Stage) -> None:
    resolve = get_resolver().resolve
    checked = 0
    for path in sorted({path.partition("?")[0] for _method, path, _body, _statuses in CASES}):
        whole = stage.path(path if path.startswith("/api") else BASE + path)
        # Harbor writes the one with its slash.
        if path.startswith("/c/") or path.rstrip("/").endswith("/metadatas"):
            continue
        plain = resolve(decoded_path(whole.encode()))
        slashed = resolve(decoded_path(f"{whole}/".encode()))
        assert (slashed.func, slashed.kwargs) == (plain.func, plain.kwargs), path
        assert slashed.route == plain.route, path
        checked += 1
    assert checked > 150
    described = [path for path in openapi_document()["paths"] if path.endswith("/")]
    assert described == [f"{BASE}/projects/{{project}}/metadatas/"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/projects/?page_size=1", None, 200),
        ("HEAD", "/projects/?project_name=secret", None, 200),
        ("GET", "/quotas/", None, 200),
        ("GET", "/users/current/", None, 200),
        ("GET", "/systeminfo/", None, 200),
        ("GET", "/api/version/", None, 200),
        ("POST", "/labels/", {"name": "slashed", "scope": "g"}, 201),
        ("PUT", "/labels/{label}/", {"name": "renamed"}, 200),
        ("DELETE", "/labels/{label}/", None, 200),
        ("GET", f"{REPOSITORY}/", None, 200),
        ("DELETE", f"{REPOSITORY}/", None, 200),
        ("GET", "/projects/secret/repositories/team/app/", None, 200),
        ("GET", "/projects/secret/repositories/team%2Fapp/artifacts/", None, 200),
        ("POST", f"{ARTIFACT}/tags/", {"name": "v2"}, 201),
        ("GET", f"{REPOSITORY}/tags/v1/history/", None, 200),
        ("PATCH", "/projects/", None, 405),
        # An encoded slash belongs to the name, and two are not one.
        ("GET", f"{REPOSITORY}%252F", None, 404),
        ("GET", f"{REPOSITORY}%2F", None, 404),
        ("GET", f"{REPOSITORY}%2F/", None, 404),
        ("GET", f"{ARTIFACT}%2F", None, 400),
        ("GET", "/projects/secret%2F", None, 404),
        ("GET", "/projects//", None, 404),
        ("GET", "/nowhere/", None, 404),
    ],
)
def test_a_slash_at_the_end(
    stage: Stage, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    with undone():
        response = stage.cast["admin"].call(method, stage.path(path), body)
    assert response.status_code == status, response.content
    if status == 201:
        assert "//" not in response["Location"]
    if status >= 400:
        assert errors_of(response)


def test_a_slash_at_the_end_opens_nothing(stage: Stage) -> None:
    assert anonymous().get("/users/").status_code == 401
    assert stage.cast["guest"].get("/quotas/").status_code == 403
    with undone():
        forged = anonymous()
        forged.client.cookies["sid"] = "some"
        refused = forged.post("/labels/", {"name": "forged", "scope": "g"})
    assert refused.status_code == 403
    assert "X-Harbor-CSRF-Token" in errors_of(refused)[0]["message"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/labels/abc", "There is no such label: label_id in path must be a number"),
        ("/users/-1", "There is no such user: user_id in path must be a number"),
        ("/users/curent/", "There is no such user: user_id in path must be a number"),
        ("/robots/99999999999999999999", "There is no such robot: robot_id in path must be"),
        ("/projects/secret/members/x", "There is no such member: member_id in path must be"),
        ("/projects/secret/immutabletagrules/x", "There is no such immutable rule: "),
        ("/users/7/sessions/x", "There is no such session: session_id in path must be"),
        ("/users/x/password", "There is no such user: user_id in path must be a number"),
        ("/nowhere", "There is no such route: /api/v2.0/nowhere"),
        ("/labels/1/2", "There is no such route: /api/v2.0/labels/1/2"),
        ("/x" * 500, "There is no such route: /api/v2.0/x"),
    ],
)
def test_what_leads_nowhere_says_why(stage: Stage, path: str, message: str) -> None:
    response = stage.cast["admin"].get(path)
    assert response.status_code == 404
    assert json.loads(response.content)["errors"][0]["message"].startswith(message)
