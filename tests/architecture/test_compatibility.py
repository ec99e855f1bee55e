"""docs/api-compatibility.md says of each operation of Harbor's API what the routes say."""

import re
from collections import Counter

import pytest
from django.urls import get_resolver

from core.api.views import ManagementView
from core.later.table import LATER
from core.projects.rules import METADATA
from tests.architecture.source import table_rows
from tests.architecture.test_surfaces import routes

pytestmark = pytest.mark.architecture

NOTHING = "-"
KEPT = "Kept without effect"
BASE = "api/v2.0"


def pattern(path: str) -> str:
    """Return a path with its parameters nameless, in whichever notation they are."""
    return re.sub(r"<[^>]+>|\{[^}]+\}", "{}", path)


def rows() -> list[tuple[tuple[str, str], str, str]]:
    return [
        ((method, pattern(path)), state, note)
        for method, path, state, note in table_rows("api-compatibility.md", "Operations")
    ]


def test_every_operation_is_there_once() -> None:
    operations = Counter(operation for operation, _state, _note in rows())
    assert set(operations.values()) == {1}
    assert len(operations) == 203
    assert len({path for _method, path in operations}) == 135


def test_states_are_those_of_the_routes() -> None:
    existing = {
        (method, pattern(where.removeprefix(BASE)))
        for where, route in routes(get_resolver().url_patterns)
        if issubclass(getattr(route.callback, "view_class", object), ManagementView)
        for method in route.callback.view_class.access
    }
    later = {
        (operation.method, pattern(f"/{operation.path}")): feature.name
        for feature in LATER
        for operation in feature.operations
    }
    assert set(later) <= {operation for operation, _state, _note in rows()}
    for operation, state, note in rows():
        where = " ".join(operation)
        if operation in later:
            assert (state, note) == ("later", later[operation]), where
        elif operation in existing:
            assert state in ("done", "partial"), where
            assert (note == NOTHING) is (state == "done"), where
        else:
            pytest.fail(f"{where} has no route")


def test_what_has_no_effect_is_named() -> None:
    """The table of metadata says what each of them does; those that do nothing stand here."""
    idle = {
        name
        for name, _values, effect in table_rows("management-api.md", "Metadata of projects")
        if effect.startswith("Nothing yet")
    }
    kept = " ".join(what for _feature, what in table_rows("api-compatibility.md", KEPT))
    assert idle == set(re.findall(r"[a-z_]+", kept)) & set(METADATA)
    assert len(idle) > 10
