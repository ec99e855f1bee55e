"""The OpenAPI document: complete, named, and true to the routes."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from django.urls import get_resolver
from drf_spectacular.validation import validate_schema

from core.api.conditions import CHANGING
from core.api.views import ManagementView
from tests.architecture.source import ROOT
from tests.core.api.cast import anonymous
from tests.core.api.stage import management_routes

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete", "head")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    from core.api.system import openapi_document

    return openapi_document()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_it_is_served_as_json(document: dict[str, Any]) -> None:
    response = anonymous().get("/openapi.json")
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content) == json.loads(json.dumps(document))


def test_every_route_and_method_is_described(document: dict[str, Any]) -> None:
    described = {(path, method) for path, method, _ in operations(document)}
    missing = []
    for route, view in management_routes(get_resolver().url_patterns):
        if view.schema is None:
            continue
        assert issubclass(view, ManagementView)
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        missing += [
            f"{method} {path}" for method in view.access if (path, method.lower()) not in described
        ]
    assert missing == []


def test_every_operation_says_what_it_needs_and_answers(document: dict[str, Any]) -> None:
    names = set()
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert operation["operationId"] not in names, where
        names.add(operation["operationId"])
        assert len(operation["description"]) > 10, where
        statuses = set(operation["responses"])
        assert statuses & {"200", "201"} or "x-later" in operation, where
        assert {"400", "401", "403", "404", "414", "422", "429", "503"} <= statuses, where
        assert "412" in statuses or method.upper() not in CHANGING, where
        assert {"413", "415"} <= statuses or "requestBody" not in operation, where
        assert {"basic": []} in operation["security"], where
        assert {"token": []} in operation["security"], where
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["in"] == "query", where
            assert parameter["schema"], where
        created = operation["responses"].get("201", {"headers": {"Location": {}}})
        assert "Location" in created["headers"], where
    assert len(names) > 150


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    def fits(example: Any, schema: dict[str, Any]) -> bool:
        whole = {**schema, "components": document["components"]}
        return jsonschema_rs.is_valid(whole, example)

    checked = 0
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        described = [(row["example"], row["schema"]) for row in operation.get("parameters", [])]
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            if "$ref" in body:
                body = document["components"]["responses"][body["$ref"].rpartition("/")[2]]
            for content in body.get("content", {}).values():
                described.append((content["example"], content["schema"]))
        for example, schema in described:
            checked += 1
            assert fits(example, schema), f"{where}: {example} is no {schema}"
    assert checked > 1000


def test_what_has_no_own_words_in_the_code(document: dict[str, Any]) -> None:
    """HEAD, which the generator leaves out, and a type that is no artifact's."""
    heads = [where for where, method, _ in operations(document) if method == "head"]
    assert heads == ["/api/v2.0/projects"]
    whole = document["paths"]["/api/v2.0/configurations"]["get"]["responses"]["200"]
    assert whole["content"]["application/json"]["example"]["scan_all_policy"] == {"type": "none"}


def test_the_committed_document_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(document)), "run: make openapi"


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validate_schema(document)


@pytest.mark.parametrize(
    ("path", "content_type", "needle"),
    [
        ("/api/docs", "text/html; charset=utf-8", b'src="/api/docs/start.js"'),
        ("/api/docs/start.js", "text/javascript; charset=utf-8", b"/api/v2.0/openapi.json"),
        ("/api/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", b"SwaggerUIBundle"),
        ("/api/docs/swagger-ui.css", "text/css; charset=utf-8", b".swagger-ui"),
        ("/api/docs/favicon-32x32.png", "image/png", b"PNG"),
    ],
)
def test_the_explorer_comes_from_this_server_alone(
    path: str, content_type: str, needle: bytes
) -> None:
    response = anonymous().get(path)
    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert needle in response.content
    policy = response["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert anonymous().post(path).status_code == 405
    if path == "/api/docs":
        text = response.content.decode()
        assert "://" not in text
        assert not re.search(r"<script>|<style|\son\w+=", text)


@pytest.mark.parametrize("name", ["other.js", "..%2Fswagger-ui.css", "swagger-ui.css.map", "%00"])
def test_the_explorer_serves_nothing_else(name: str) -> None:
    assert anonymous().get(f"/api/docs/{name}").status_code == 404


def test_open_routes_say_so(document: dict[str, Any]) -> None:
    assert {} in document["paths"]["/api/v2.0/ping"]["get"]["security"]
    assert {} in document["paths"]["/api/v2.0/projects"]["get"]["security"]
    assert {} not in document["paths"]["/api/v2.0/users"]["get"]["security"]


def test_path_parameters_are_described(document: dict[str, Any]) -> None:
    path = "/api/v2.0/projects/{project_name}/repositories/{repository}"
    parameters = {row["name"]: row for row in document["paths"][path]["get"]["parameters"]}
    assert "twice" in parameters["repository"]["description"]
    member = document["paths"]["/api/v2.0/projects/{project}/members/{member_id}"]["get"]
    kinds = {row["name"]: row["schema"]["type"] for row in member["parameters"]}
    assert kinds == {"project": "string", "member_id": "integer", "If-None-Match": "string"}


def test_links_lead_to_operations_with_all_that_these_need(document: dict[str, Any]) -> None:
    paths = {operation["operationId"]: path for path, _, operation in operations(document)}
    found = {}
    for path, _method, operation in operations(document):
        for response in operation["responses"].values():
            for name, link in response.get("links", {}).items():
                assert name == link["operationId"]
                needed = set(re.findall(r"\{(\w+)\}", paths[name]))
                assert set(link["parameters"]) == needed, (path, name)
                found[operation["operationId"], name] = link["parameters"]
    assert found["listRobots", "getARobot"] == {"robot_id": "$response.body#/0/id"}
    assert found["createARobot", "deleteARobot"] == {"robot_id": "$response.body#/id"}
    assert found["listMembers", "changeAMemberSRole"] == {
        "project": "$request.path.project",
        "member_id": "$response.body#/0/id",
    }
    assert len(found) > 25


def test_if_match_is_described_where_it_counts(document: dict[str, Any]) -> None:
    described = {
        (method, path.removeprefix("/api/v2.0/"))
        for path, method, operation in operations(document)
        if any(row["name"] == "If-Match" for row in operation.get("parameters", ()))
    }
    artifact = "projects/{project_name}/repositories/{repository}/artifacts/{reference}"
    assert {row for row in described if row[0] == "post"} == {
        ("post", "projects/{project}/rename"),
        ("post", "projects/{project}/trash/{entry_id}/restore"),
        ("post", "projects/{project_name}/repositories/{repository}/transfer"),
        ("post", f"{artifact}/tags"),
    }
    assert ("delete", "projects/{project}/trash/{entry_id}") in described
    assert ("delete", "projects/{project}/trash") not in described


def test_what_all_views_do_is_described(document: dict[str, Any]) -> None:
    robots, robot = (document["paths"][f"/api/v2.0/robots{tail}"] for tail in ("", "/{robot_id}"))
    assert {"ETag"} == set(robot["get"]["responses"]["200"]["headers"])
    assert "304" in robot["get"]["responses"]
    for method, name in (("get", "If-None-Match"), ("put", "If-Match"), ("delete", "If-Match")):
        assert name in {row["name"] for row in robot[method]["parameters"]}
        assert method == "get" or "412" in robot[method]["responses"]
    assert {"Idempotency-Key"} <= {row["name"] for row in robots["post"]["parameters"]}
    login = document["paths"]["/c/login"]["post"]
    assert "Idempotency-Key" not in {row["name"] for row in login.get("parameters", ())}
    assert "409" not in login["responses"]
    assert "format" in {row["name"] for row in robots["get"]["parameters"]}
    assert set(robots["get"]["responses"]["200"]["content"]) == {"application/json", "text/csv"}
