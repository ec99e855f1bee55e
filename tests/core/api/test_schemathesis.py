"""Requests made from the OpenAPI document: no failure, and no answer that it does not describe."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

from core.config.wsgi import application
from core.members.models import Membership
from core.robots.models import Robot
from tests.core.api.cast import Cast, undone
from tests.factories.artifacts import make_image, storage_in
from tests.factories.members import make_group

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SEED = 20_261_128
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
    return schemathesis.openapi.from_wsgi("/api/v2.0/openapi.json", application)


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
        chosen = hypothesis.settings(SETTINGS, max_examples=1 if is_later else 4)
        hypothesis.seed(SEED)(chosen(hypothesis.given(case=operation.as_strategy())(send)))()
    assert {200, 201, 400, 404, 422, 501} <= set(statuses), statuses


def test_chains_of_requests(cast: Cast) -> None:
    schema = document()
    headers = {"Authorization": str(cast["admin"].authorization)}
    followed = set()

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self._undone = undone()
            self._undone.__enter__()

        def teardown(self) -> None:
            self._undone.__exit__(None, None, None)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers}

        def validate_response(self, response: Any, case: Any, **_others: Any) -> None:
            if response.status_code == 200 and case.path_parameters:
                followed.add((case.method, case.path))
            case.validate_response(response, checks=CHECKS, headers=headers)

    hypothesis.seed(SEED)(Chain)
    Chain.run(settings=hypothesis.settings(SETTINGS, max_examples=20, stateful_step_count=12))
    # Only what an earlier request of the chain made is found under its number.
    assert {method for method, _path in followed} >= {"GET"}
