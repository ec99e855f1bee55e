"""The two error renderers and the routes of the management API leave nothing out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.fields import CharField, RegexField

from core.api.errors import RESPONSES
from core.api.fields import RequestSerializer, TextField
from core.api.permissions import Deferred, Filtered, Public, SignedIn
from core.api.views import ManagementView
from core.common.errors import ErrorKind
from core.rbac.permissions import PERMISSIONS
from registry_api.errors import CODE_OF_KIND, STATUS_OF_KIND, TABLE
from tests.architecture.source import ROOT

pytestmark = pytest.mark.architecture


def test_both_surfaces_know_every_kind_of_error() -> None:
    assert len(ErrorKind) >= 13
    assert set(RESPONSES) == set(ErrorKind)
    assert set(STATUS_OF_KIND) == set(ErrorKind)
    assert set(CODE_OF_KIND) == set(ErrorKind)


def test_both_surfaces_give_the_same_status() -> None:
    for kind in ErrorKind:
        assert RESPONSES[kind][0] == STATUS_OF_KIND[kind], kind
        assert 400 <= STATUS_OF_KIND[kind] < 600


def test_codes_for_kinds_are_codes_that_clients_know() -> None:
    assert set(CODE_OF_KIND.values()) <= set(TABLE)
    assert len(TABLE) > 15


def routes(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        where = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, where)
        else:
            yield where, pattern


def test_every_route_declares_a_permission_or_a_reason() -> None:
    checked = 0
    for where, pattern in routes(get_resolver().url_patterns):
        view = getattr(pattern.callback, "view_class", None)
        if view is None or not issubclass(view, ManagementView):
            continue
        methods = [name for name in view.http_method_names if hasattr(view, name)]
        for method in methods:
            if method == "options":
                continue
            access = view.access.get(method.upper())
            if access is None and method == "head":
                access = view.access.get("GET")
            checked += 1
            assert access is not None, f"{method.upper()} {where} declares nothing"
            if isinstance(access, str):
                assert access in PERMISSIONS, f"{method.upper()} {where}: no permission {access}"
            elif isinstance(access, Public):
                assert len(access.public_reason) > 10
            else:
                assert isinstance(access, SignedIn | Filtered | Deferred)
                assert len(access.reason) > 10
    assert checked > 30


def test_texts_in_requests_are_strings() -> None:
    """The framework's own field takes numbers for texts; a pattern of words matches none."""
    assert get_resolver().url_patterns
    lenient, checked = [], 0
    for shape in _below(RequestSerializer):
        for name, field in shape().fields.items():
            for part in _parts(field):
                checked += isinstance(part, TextField)
                if isinstance(part, CharField) and not isinstance(part, TextField | RegexField):
                    lenient.append(f"{shape.__module__}.{shape.__name__}.{name}")
    assert checked > 50
    assert lenient == []


def _below(base: type[RequestSerializer]) -> Iterator[type[RequestSerializer]]:
    for shape in base.__subclasses__():
        if not shape.__module__.startswith("tests."):
            yield shape
        yield from _below(shape)


def _parts(field: Any) -> Iterator[Any]:
    yield field
    if getattr(field, "child", None) is not None:
        yield from _parts(field.child)


def test_every_route_of_the_management_api_is_called_by_some_test() -> None:
    """A path in the tests may have values, or braces of an f-string, where the route has names."""
    called = "\n".join(_with_constants(path) for path in (ROOT / "tests" / "core").rglob("*.py"))
    untested, checked = [], 0
    for where, pattern in routes(get_resolver().url_patterns):
        view = getattr(pattern.callback, "view_class", None)
        if view is None or not issubclass(view, ManagementView):
            continue
        checked += 1
        path = where.removeprefix("api/v2.0")
        expected = re.sub(r"<[^>]+>", r"[^\\s\"']+?", re.escape(path).replace(r"\<", "<"))
        if not re.search(rf"{expected}[\"'?]", called):
            untested.append(path)
    assert checked > 30
    assert untested == []


def _with_constants(path: Path) -> str:
    """Return the text of a test file with its constant paths put where they are used."""
    text = path.read_text(encoding="utf-8")
    constants = re.findall(r'(?m)^([A-Z_]+) = f?"([^"]+)"$', text)
    for name, value in reversed(constants):
        # A later constant may be made of earlier ones, so it is replaced first.
        text = text.replace(f"{{{name}}}", value)
    return text
