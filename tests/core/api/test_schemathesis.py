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
REQUIRED = ("from", "permission", "q", "username", "groupname", "project_name")
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


def plausible(case: Any) -> None:
    """Send the example of the document, so that chains do not end at their first request.

    Random values are for single requests. What a link has filled in stays.
    """
    raw = case.operation.definition.raw
    for described in raw.get("requestBody", {}).get("content", {}).values():
        case.body = deepcopy(described["example"])
    rows = {row["name"]: row for row in raw.get("parameters", [])}
    case.headers.clear()
    case.query = {name: rows[name]["example"] for name in case.query or {} if name in REQUIRED}
    for name, value in case.path_parameters.items():
        if rows[name]["schema"]["type"] == "string" and not str(value).isdigit():
            case.path_parameters[name] = unquote(str(rows[name]["example"]))


def test_chains_of_requests(tmp_path: Path) -> None:
    """Follow the links of the schema: what an answer shows is read, changed and deleted."""
    schema = document().exclude(lambda context: "x-later" in context.operation.definition.raw)
    schema.config.phases.stateful.inference.algorithms = []
    followed: Counter[tuple[str, str]] = Counter()

    with set_stage(tmp_path, project="library", tag="v1.2.0") as stage:
        make_user("alice")
        headers = {"Authorization": str(stage.cast["admin"].authorization)}

        class Chain(schema.as_state_machine()):  # type: ignore[misc]  # a class made at run time
            def setup(self) -> None:
                self._undone = undone()
                self._undone.__enter__()

            def teardown(self) -> None:
                self._undone.__exit__(None, None, None)

            def before_call(self, case: Any) -> None:
                plausible(case)

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": headers}

            def validate_response(self, response: Any, case: Any, **_others: Any) -> None:
                if response.status_code == 200 and case.path_parameters:
                    followed[case.method, case.path] += 1
                case.validate_response(response, checks=CHECKS, headers=headers)

        hypothesis.seed(SEED)(Chain)
        Chain.run(settings=hypothesis.settings(SETTINGS, max_examples=10, stateful_step_count=12))
    # Without links next to nothing is found under the numbers that are made up.
    assert {"GET", "PUT", "DELETE"} <= {method for method, _path in followed}
    assert len(followed) >= 8, followed
    assert followed.total() >= 16, followed
