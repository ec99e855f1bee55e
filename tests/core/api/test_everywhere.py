"""What every view does: lists as files, entity tags of single objects, keys of POST."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.urls import get_resolver

from core.api.conditions import CHANGING
from core.api.system import openapi_document
from tests.core.api.cast import BASE, errors_of, file_of, undone
from tests.core.api.stage import Stage, management_routes
from tests.core.api.test_matrix import ARTIFACT, CASES

pytestmark = pytest.mark.django_db

READS = sorted({path for method, path, _body, _statuses in CASES if method == "GET"})
# Arrays that come whole, as Harbor's do.
WHOLE = {
    "/auditlog-exts/events",
    "/export/cve/executions",
    "/jobservice/pools",
    "/jobservice/pools/all/workers",
    "/jobservice/queues",
    "/p2p/preheat/providers",
    "/projects/secret/preheat/providers",
    f"{ARTIFACT}/additions/build_history",
    "/projects/secret/webhook/lasttrigger",
    "/replication/adapters",
    "/users/current/permissions",
}


def call(stage: Stage, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
    return stage.cast["admin"].call(method, stage.path(path), stage.body(body), **headers)


def extended(path: str, parameters: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{parameters}"


def test_every_list_can_be_had_as_a_file(stage: Stage) -> None:
    lists, others = 0, set()
    for path in READS:
        listed = call(stage, "GET", extended(path, "page_size=0"))
        if listed.status_code != 200 or not listed.content.startswith(b"["):
            continue
        if "X-Total-Count" not in listed:
            others.add(path)
            continue
        lists += 1
        rows = json.loads(listed.content)
        assert int(listed["X-Total-Count"]) == len(rows), path
        as_json = call(stage, "GET", extended(path, "format=json"))
        assert len(json.loads(file_of(as_json))) == len(rows), path
        as_csv = call(stage, "GET", path, Accept="text/csv")
        assert as_csv["Content-Type"].startswith("text/csv"), path
        assert "attachment" in as_csv["Content-Disposition"], path
        table = list(csv.DictReader(io.StringIO(file_of(as_csv))))
        assert len(table) == len(rows), path
        for shown, line in zip(rows, table, strict=True):
            assert set(shown) <= set(line), path
        assert call(stage, "GET", extended(path, "format=xml")).status_code == 422, path
    assert others <= WHOLE
    assert lists > 30


def test_every_single_object_has_a_tag(stage: Stage) -> None:
    singles = {
        route
        for route, view in management_routes(get_resolver().url_patterns)
        if "GET" in view.access and not CHANGING.isdisjoint(view.access)
    }
    seen = set()
    for path in READS:
        plain = stage.path(path).partition("?")[0].replace("%252F", "%2F")
        route = get_resolver().resolve(plain if plain.startswith(("/api", "/c/")) else BASE + plain)
        response = call(stage, "GET", path)
        if route.route not in singles or response.status_code != 200:
            continue
        if not response.content.startswith(b"{"):
            continue
        seen.add(route.route)
        again = call(stage, "GET", path, If_None_Match=response["ETag"])
        assert (again.status_code, again.content) == (304, b""), path
    # Of the others nothing is there to be shown: later features, lists that can be emptied.
    assert len(seen) > 15
    changes = [case for case in CASES if case[0] in CHANGING and case[3].startswith("200")]
    for method, path, body, _statuses in changes:
        with undone():
            stale = call(stage, method, path, body, If_Match='"old"')
        assert stale.status_code == 412, (method, path)
        assert errors_of(stale)[0]["code"] == "PRECONDITION"
    assert len(changes) > 25


def described_cases(stage: Stage) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """Yield the requests with the operations of the document that they are."""
    paths = openapi_document()["paths"]
    for method, path, body, _statuses in CASES:
        plain = stage.path(path).partition("?")[0].replace("%252F", "%2F")
        route = get_resolver().resolve(plain if plain.startswith(("/api", "/c/")) else BASE + plain)
        operations = paths.get("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.route), {})
        if method.lower() in operations:
            yield method, path, body, operations[method.lower()]


def test_every_truth_value_in_a_query_is_checked(stage: Stage) -> None:
    checked = set()
    for method, path, body, operation in described_cases(stage):
        for row in operation.get("parameters", ()):
            if row["in"] == "query" and row["schema"].get("type") == "boolean":
                with undone():
                    response = call(stage, method, extended(path, f"{row['name']}=maybe"), body)
                assert response.status_code == 422, (method, path, row["name"])
                assert row["name"] in errors_of(response)[0]["message"]
                checked.add(row["name"])
    assert {"relative", "with_tag", "public"} <= checked


def test_what_conditions_and_keys_lead_to_is_described(stage: Stage) -> None:
    """Whatever a request is for: 412 for a tag that is not current, and what a bad key gets."""
    wrong, statuses = [], set()
    for method, path, body, operation in described_cases(stage):
        for headers in ({"If_Match": '"old"'}, {"Idempotency_Key": "not one"}):
            with undone():
                status = call(stage, method, path, body, **headers).status_code
            statuses.add((method, status))
            if str(status) not in operation["responses"]:
                wrong.append(f"{method} {path}: {status} for {headers}")
    assert wrong == []
    assert {("PUT", 412), ("DELETE", 412), ("POST", 412), ("POST", 400)} <= statuses


def test_every_post_under_a_key_is_carried_out_once(stage: Stage) -> None:
    done = 0
    for method, path, body, statuses in CASES:
        if method != "POST" or not statuses.startswith("20"):
            continue
        with undone():
            first = call(stage, method, path, body, Idempotency_Key="k")
            again = call(stage, method, path, body, Idempotency_Key="k")
        assert str(first.status_code) == statuses[:3], path
        done += 1
        if any(name in first.content for name in (b'"secret":', b'"token":')):
            assert again.status_code == 409, path
            continue
        assert again["Idempotency-Replayed"] == "true", path
        assert (again.status_code, again.content) == (first.status_code, first.content), path
        assert again.get("Location") == first.get("Location"), path
    assert done > 15
