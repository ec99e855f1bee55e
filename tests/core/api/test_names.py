"""Names that break things elsewhere, wherever the API takes one: in paths, bodies and queries."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import get_resolver

from core.api.system import openapi_document
from core.later.api.views import LaterView
from tests.core.api.cast import errors_of, rows_of, undone
from tests.core.api.stage import Stage, management_routes
from tests.core.api.test_matrix import CASES, WRITES

pytestmark = pytest.mark.django_db

NAMES = {
    "slashes": "a/../../etc/passwd",
    "dots": "..",
    "unicode": "k\u00e9\u2028\U0001f433",
    "encoded": "a%2Fb%2500",
    "wildcards": "%_%",
    "any character": "_",
    "quote": "a' OR 1=1--",
    "backslash": "\\",
    "number": "9" * 30,
    "negative": "-1",
    "nul": "a\x00b",
    "long": "x" * 10_000,
}
REFUSED = (400, 404, 409, 412, 422)
# What the text of an error calls a member, where it is not by its own name.
WORDS = {
    "namespace": "project",
    "ref": "project",
    "projects": "project",
    "access": "permission",
    "username": "user",
    "new_password": "password",
    "old_password": "password",
    "project_name": "project",
    "group_name": "group",
    "permissions": "permission",
}


def leaves(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in a body texts are."""
    if isinstance(body, dict | list):
        for key, value in body.items() if isinstance(body, dict) else enumerate(body):
            yield from leaves(value, (*path, key))
    elif isinstance(body, str):
        yield path


def replaced(body: Any, path: tuple[Any, ...], value: str) -> Any:
    whole = deepcopy(body)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


@pytest.mark.parametrize(
    ("method", "path", "body"), WRITES, ids=[f"{case[0]} {case[1]}" for case in WRITES]
)
def test_names_in_bodies(stage: Stage, method: str, path: str, body: dict[str, Any]) -> None:
    """What is refused says which member it was, in a message that nobody has to scroll."""
    for leaf in leaves(body):
        members = [str(key) for key in leaf if isinstance(key, str)]
        known = {*members, *(WORDS[name] for name in members if name in WORDS)}
        if members[-1] in ("name", "tags"):
            known.add("tag")
        for kind, name in NAMES.items():
            wanted = replaced(stage.body(body), leaf, name)
            with undone():
                response = stage.cast["admin"].call(method, stage.path(path), wanted)
            where = f"{kind} as {'.'.join(map(str, leaf))}: {response.content[:300]!r}"
            assert response.status_code in (200, 201, 501, *REFUSED), where
            if kind == "nul" or (kind == "long" and members[-1] != "description"):
                assert response.status_code >= 400, where
            if response.status_code in REFUSED:
                (error,) = errors_of(response)
                assert any(word in error["message"].lower() for word in known), where


def place(route: str, name: str, value: str) -> str:
    """Return the path of a route with one of its names replaced, encoded as clients do it."""
    usual = {"repository": "team/app", "reference": "v1", "tag": "v1", "meta_name": "public"}

    def fill(found: re.Match[str]) -> str:
        kind, own = found[1] or "", found[2]
        text = value if own == name else usual.get(own, "1" if kind == "identifier" else "secret")
        once = quote(text, safe="")
        return quote(once, safe="") if kind == "repository_name" else once

    return "/" + re.sub(r"<(?:(\w+):)?(\w+)>", fill, route)


def test_names_in_paths(stage: Stage) -> None:
    checked = 0
    for route, view in management_routes(get_resolver().url_patterns):
        if issubclass(view, LaterView) or route.startswith("api/<"):
            continue
        for name in re.findall(r"<(?:str|reference|repository_name):(\w+)>", route):
            for kind, value in NAMES.items():
                # All methods of a view find what the path names in the same way.
                method = next(iter(view.access))
                with undone():
                    response = stage.cast["admin"].call(method, place(route, name, value), {})
                where = f"{method} {route} with {kind} as {name}: {response.content[:300]!r}"
                assert response.status_code in (*REFUSED, 405), where
                assert errors_of(response), where
                checked += 1
    assert checked > 400


def parameters() -> dict[tuple[str, str], str]:
    """Return every text that a read takes in its query: operation and name to a path to ask."""
    document = openapi_document()
    found = {}
    for method, path, _body, statuses in CASES:
        plain = path.partition("?")[0]
        if method != "GET" or not statuses.startswith("200"):
            continue
        for template, operations in document["paths"].items():
            read = operations.get("get", {"x-later": True})
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if "x-later" in read or not re.fullmatch(pattern, f"/api/v2.0{plain}"):
                continue
            for row in read.get("parameters", []):
                is_text = row["in"] == "query" and row["schema"].get("type") == "string"
                if is_text and row["name"] not in ("format", "sort"):
                    found[read["operationId"], row["name"]] = path
    return found


def test_names_in_queries(stage: Stage) -> None:
    asked = parameters()
    for (operation, name), path in asked.items():
        known = {name, WORDS.get(name, name)}
        for kind, value in NAMES.items():
            text = f"name=~{value}" if name == "q" else value
            separator = "&" if "?" in path else "?"
            where = stage.path(path) + f"{separator}{name}={quote(text, safe='')}"
            response = stage.cast["admin"].get(where)
            shown = f"{operation} with {kind} as {name}: {response.content[:200]!r}"
            assert response.status_code in (200, *REFUSED), shown
            if response.status_code in REFUSED:
                (error,) = errors_of(response)
                assert any(word in error["message"].lower() for word in known), shown
    assert {("listProjects", "q"), ("listProjects", "name"), ("listLabels", "name")} <= set(asked)
    assert len(asked) > 25


@pytest.mark.parametrize(
    "path",
    [
        "/projects?name={}",
        "/projects?q=name%3D~{}",
        "/repositories?q=name%3D~{}",
        "/projects/secret/repositories?q=name%3D~{}",
        "/projects/secret/artifacts?q=tags%3D~{}",
        "/projects/secret/members?entityname={}",
        "/users?q=username%3D~{}",
        "/users/search?username={}",
        "/usergroups?group_name={}",
        "/usergroups/search?groupname={}",
        "/labels?name={}",
        "/robots?q=name%3D~{}",
        "/auditlog-exts?q=username%3D~{}",
        "/projects/secret/trash?q=repository%3D~{}",
    ],
)
def test_wildcards_of_the_database_stand_for_themselves(stage: Stage, path: str) -> None:
    for text in ("%", "_", "s%t", "te_m"):
        # Values of q are decoded once more.
        encoded = quote(quote(text)) if "q=" in path else quote(text)
        assert rows_of(stage.cast["admin"].get(path.format(encoded))) == [], text
