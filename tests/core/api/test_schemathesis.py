"""Requests made from the OpenAPI document: no failure, and no answer that it does not describe."""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from pytest_django.fixtures import Settings
from schemathesis.checks import (
    CheckContext,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.generation.stateful.state_machine import StepOutput
from schemathesis.specs.openapi.stateful.links import OpenApiLink

from core.api.links import given, items_of, links_to
from core.api.system import openapi_document
from core.config.wsgi import application
from core.members.models import Membership
from core.robots.models import Robot
from tests.core.api.cast import Cast, undone
from tests.core.api.stage import set_stage
from tests.factories.artifacts import make_image, storage_in
from tests.factories.members import make_group
from tests.factories.users import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SEED = 20_261_128
LIFE = ("GET", "PUT", "PATCH", "DELETE")
FAMILIES = {
    "/labels",
    "/projects",
    "/projects/{project_name}/repositories/{repository}/artifacts",
    "/projects/{project_name}/repositories/{repository}/artifacts/{reference}/tags",
    "/projects/{project_name}/repositories/{repository}/grants",
    "/projects/{project}/immutabletagrules",
    "/projects/{project}/members",
    "/projects/{project}/trash",
    "/quotas",
    "/robots",
    "/roles",
    "/usergroups",
    "/usergroups/{group_id}/users",
    "/users",
    "/users/current/tokens",
}
SETTINGS = hypothesis.settings(
    deadline=None,
    database=None,
    derandomize=False,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


def no_defect(_context: CheckContext, response: Any, _case: Any) -> None:
    """Refuse every failure of the server; 501 is what later operations answer."""
    assert response.status_code < 500 or response.status_code == 501, response.text


CHECKS = [
    no_defect,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep the end of a request from closing the connection of the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def document() -> Any:
    """Return the schema as it is served, with links that only this tool can follow.

    What was created is found under its Location; OpenAPI has no words for a part of a header.
    """
    described = deepcopy(openapi_document())
    for path, item, name in items_of(described["paths"]):
        created = described["paths"][path].get("post", {}).get("responses", {}).get("201")
        if created is not None:
            located = "$response.header.Location#regex:/([^/]+)$"
            parameters = given(path) | {name: located}
            created.setdefault("links", links_to(described["paths"][item], parameters))
    loaded = schemathesis.openapi.from_dict(described)
    loaded.app = application
    loaded.location = "/api/v2.0/openapi.json"
    return loaded


@pytest.fixture
def named(cast: Cast, tmp_path: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield what path parameters can name."""
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1", path="team/app")
        robot = Robot.objects.get(project=cast.project)
        yield {
            "project": "secret",
            "project_name": "secret",
            "repository": "team%2Fapp",
            "reference": "v1",
            "tag": "v1",
            "user_id": cast.users["outsider"].pk,
            "robot_id": robot.pk,
            "group_id": make_group("team").pk,
            "member_id": Membership.objects.get(user=cast.users["guest"]).pk,
            "role_id": 1,
        }


def test_single_requests(cast: Cast, named: dict[str, Any]) -> None:
    """Send a few requests to every operation; every other one names what exists."""
    headers = {"Authorization": str(cast["admin"].authorization)}
    statuses: Counter[int] = Counter()

    def send(case: Any) -> None:
        if statuses.total() % 2:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = named.get(name, case.path_parameters[name])
        with undone():
            response = case.call(headers=headers)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS, headers=headers)

    operations = [found.ok() for found in document().get_all_operations()]
    assert len(operations) > 180
    for operation in operations:
        is_later = "x-later" in operation.definition.raw
        chosen = hypothesis.settings(SETTINGS, max_examples=1 if is_later else 3)
        hypothesis.seed(SEED)(chosen(hypothesis.given(case=operation.as_strategy())(send)))()
    assert {200, 201, 400, 404, 422, 501} <= set(statuses), statuses


def example_of(operation: Any) -> Any:
    """Return the request that the document shows for an operation."""
    raw = operation.definition.raw
    rows = {row["name"]: row for row in raw.get("parameters", ())}
    body = raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    return operation.Case(
        path_parameters={
            name: unquote(str(row["example"])) for name, row in rows.items() if row["in"] == "path"
        },
        query={
            name: row["example"]
            for name, row in rows.items()
            if row["in"] == "query" and row.get("required")
        },
        **({"body": deepcopy(body["example"]), "media_type": "application/json"} if body else {}),
    )


def links_of(operation: Any, response: Any) -> list[OpenApiLink]:
    """Return the links of a response in the order in which what they lead to lives and dies."""
    status = str(response.status_code)
    described = operation.definition.raw["responses"].get(status, {}).get("links", {})
    links = [OpenApiLink(name, status, link, operation) for name, link in described.items()]
    return sorted(links, key=lambda link: LIFE.index(link.target.method.upper()))


def test_chains_of_requests(tmp_path: Path) -> None:
    """Follow every link of the schema: what an answer shows is read, changed and deleted.

    Bodies are the examples of the document; random ones are for single requests.
    """
    statuses: dict[str, list[str]] = {}
    followed: Counter[str] = Counter()

    with set_stage(tmp_path, project="library", tag="v1.2.0") as stage:
        make_user("alice")
        headers = {"Authorization": str(stage.cast["admin"].authorization)}

        def send(case: Any) -> Any:
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS, headers=headers)
            return response

        for source in (found.ok() for found in document().get_all_operations()):
            if not any("links" in row for row in source.definition.raw["responses"].values()):
                continue
            with undone():
                first = example_of(source)
                response = send(first)
                if response.status_code == 200 and not response.json():
                    continue
                for link in links_of(source, response):
                    case = example_of(link.target)
                    found = link.extract(StepOutput(response, first)).parameters
                    for name, parameter in found["path_parameters"].items():
                        case.path_parameters[name] = parameter.value.ok()
                    status = send(case).status_code
                    statuses.setdefault(source.label, []).append(f"{case.method} {status}")
                    followed[case.method] += status == 200
    # What an answer shows is there; some of it cannot be changed, as the system's own.
    lost = {label for label, ends in statuses.items() if any(" 404" in end for end in ends)}
    assert lost == set(), statuses
    reached = {
        label.removeprefix("GET /api/v2.0").removeprefix("POST /api/v2.0") for label in statuses
    }
    assert reached >= FAMILIES, statuses
    for label, ends in statuses.items():
        assert any(" 200" in end for end in ends), (label, ends)
        assert label.startswith("GET ") or all(" 200" in end for end in ends), (label, ends)
    assert min(followed[method] for method in LIFE[:2]) >= 16, followed
    assert followed["DELETE"] >= 16, followed
