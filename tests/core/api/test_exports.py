"""Lists as files: all rows, in the order of the list, safe for spreadsheets."""

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from core.api import exports
from tests.core.api.cast import Cast, file_of, rows_of
from tests.factories.projects import make_project, make_repository


def table_of(response: HttpResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file_of(response))))


def test_all_rows_come_in_one_file(cast: Cast) -> None:
    for number in range(25):
        make_project(f"p{number:02}", is_public=True)
    guest = cast["guest"]
    listed = rows_of(guest.get("/projects?page_size=100&sort=-name"))
    response = guest.get("/projects?format=csv&sort=-name&page_size=1")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="projects.csv"'
    assert response["X-Total-Count"] == str(len(listed)) == "26"
    table = table_of(response)
    assert [row["name"] for row in table] == [row["name"] for row in listed]
    assert json.loads(table[0]["metadata"]) == listed[0]["metadata"]
    assert json.loads(file_of(guest.get("/projects?format=json&sort=-name"))) == listed
    accepted = guest.get("/projects?q=name=~p1", Accept="application/json;q=0.1, text/csv")
    assert len(table_of(accepted)) == 10


def test_a_file_shows_no_more_than_the_list(cast: Cast) -> None:
    names = [row["name"] for row in table_of(cast["outsider"].get("/projects?format=csv"))]
    assert names == []
    assert cast["outsider"].get("/users?format=csv").status_code == 403
    assert cast["anonymous"].get("/users?format=csv").status_code == 401
    assert json.loads(file_of(cast["outsider"].get("/repositories?format=json"))) == []


def test_other_formats_and_other_accepts(cast: Cast) -> None:
    assert cast["admin"].get("/users?format=xml").status_code == 422
    for accept in (
        *("*/*", "text/html", "text/*", "", "application/json, text/csv;q=0.5"),
        *("text/csv;q=0", "text/csv;q=0, */*", "text/csv;q=0.1, application/*;q=0.2"),
    ):
        assert isinstance(rows_of(cast["admin"].get("/users", Accept=accept)), list), accept
    for accept in (
        "TEXT/CSV",
        "text/csv; charset=utf-8",
        "text/csv, */*",
        "text/csv;q=0.2, */*;q=0.1",
    ):
        assert table_of(cast["admin"].get("/users", Accept=accept)), accept
    assert cast["admin"].get("/users/current?format=csv").status_code == 200


def test_too_many_rows_are_refused_not_cut(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MAXIMUM_ROWS", 3)
    assert cast["admin"].get("/users?format=csv").status_code == 422
    assert cast["admin"].get("/usergroups?format=csv").status_code == 200


def test_statements_grow_with_pieces_not_with_rows(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast["guest"].get("/projects/secret/repositories")
    counts = []
    for numbers in (range(10), range(10, 100)):
        for number in numbers:
            make_repository(cast.project, f"r{number}")
        with CaptureQueriesContext(connection) as statements:
            table_of(cast["guest"].get("/projects/secret/repositories?format=csv"))
        counts.append(len(statements))
    assert counts[0] == counts[1]
    monkeypatch.setattr(exports, "PIECE_ROWS", 7)
    table = table_of(cast["guest"].get("/projects/secret/repositories?format=csv"))
    assert len({row["id"] for row in table}) == 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "true"),
        (0, "0"),
        (-5, "-5"),
        (1.5, "1.5"),
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff20SUM(A1)", "'\uff20SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        (["a"], '["a"]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_no_cell_is_a_formula(value: Any, expected: str) -> None:
    assert exports.cell(value) == expected
