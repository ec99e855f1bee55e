"""The OpenAPI document: complete, named, and true to the routes."""

import json
import re
from typing import Any

import pytest
from django.urls import get_resolver

from core.api.views import ManagementView
from tests.core.api.cast import anonymous
from tests.core.api.test_matrix import _routes as routes

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
    for route, view in routes(get_resolver().url_patterns):
        if view.schema is None:
            continue
        assert issubclass(view, ManagementView)
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        missing += [
            f"{method} {path}"
            for method in view.access
            if (path, method.lower()) not in described and method != "HEAD"
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
        statuses = set(operation["responses"])
        assert statuses & {"200", "201"} or "x-later" in operation, where
        assert {"400", "401", "403", "404", "422", "429"} <= statuses, where
        assert {"basic": []} in operation["security"], where
        assert {"token": []} in operation["security"], where
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["in"] == "query", where
    assert len(names) > 60


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
    assert kinds == {"project": "string", "member_id": "integer"}
