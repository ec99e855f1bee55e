"""What a private project is called, numbered and made of is nobody else's to see."""

import json
import re
from typing import Any

import pytest
from django.http import HttpResponse

from core.artifacts.models import Manifest
from core.oci.digest import Digest
from tests.core.api.cast import errors_of, file_of, rows_of, undone
from tests.core.api.stage import PROJECT_ID, Stage
from tests.core.api.test_matrix import CASES

pytestmark = pytest.mark.django_db

STRANGERS = ("outsider", "anonymous")
# Ids of what belongs to the private project, for which another caller must not find a use.
OWNED = ("project", "quota", "member", "label", "rule", "robot", "entry")
NOWHERE = 731_999_999
FORMS = ("format=csv", "format=json", "q=name%3D~secret", f"q=project_id%3D{PROJECT_ID}")
# It tells of an invented registry, the same to everybody.
DOCUMENTS = ("/openapi.json",)


def absent(value: Any) -> Any:
    """Return a path or body that names a project which does not exist, in place of the private."""
    if isinstance(value, dict):
        return {key: absent(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [absent(inner) for inner in value]
    if not isinstance(value, str):
        return value
    for name in OWNED:
        if value == f"{{{name}}}":
            return NOWHERE
        value = value.replace(f"{{{name}}}", str(NOWHERE))
    return re.sub(r"(?<![\w])secret(?![\w\"])", "absent", value)


def told(response: HttpResponse) -> str:
    """Return everything an answer says, headers included, but for its own number."""
    headers = {
        name: text
        for name, text in response.headers.items()
        if name.lower() not in ("x-request-id", "content-length")
    }
    return json.dumps([response.status_code, headers, response.content.decode()])


def secrets_in(text: str) -> list[str]:
    """Return what of the private project a text holds."""
    stored = Manifest.objects.values_list("digest", flat=True)
    digests = "|".join(Digest.from_bytes(bytes(digest)).hex for digest in stored)
    pattern = rf"\bsecret\b(?!\\?\":)|team/app|team%2[fF]app|\b{PROJECT_ID}\b|{digests}"
    return re.findall(pattern, text)


READS = sorted({(method, path) for method, path, _body, _statuses in CASES if method == "GET"})


@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_list_and_no_id_shows_a_private_project(stage: Stage, stranger: str) -> None:
    caller, lists = stage.cast[stranger], 0
    for path in ("/projects", "/repositories", "/projects/secret/artifacts", "/auditlog-exts"):
        assert secrets_in(told(stage.cast["admin"].get(path))), path
    for _method, path in READS:
        if path in DOCUMENTS:
            continue
        where = stage.path(path)
        response = caller.get(where)
        shown = told(response)
        if absent(path) == path:
            assert secrets_in(shown) == [], where
        if response.status_code != 200 or "X-Total-Count" not in response.headers:
            continue
        lists += 1
        # What is counted is what is shown, in every form a list has.
        separator = "&" if "?" in where else "?"
        rows = rows_of(caller.get(f"{where}{separator}page_size=100"))
        assert response["X-Total-Count"] == str(len(rows)), where
        for more in FORMS:
            asked = caller.get(f"{where}{separator}{more}")
            assert secrets_in(body_text(asked)) == [], (where, more)
    assert lists >= (5 if stranger == "outsider" else 2)


def body_text(response: HttpResponse) -> str:
    return file_of(response) if response.streaming else response.content.decode()


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_private_is_answered_like_what_is_not_there(stage: Stage, stranger: str) -> None:
    """The same status, headers and text for every method, but for the names that were asked."""
    caller, compared = stage.cast[stranger], 0
    for method, path, body, _statuses in CASES:
        if (absent(path), absent(body)) == (path, body):
            continue
        with undone():
            hidden = caller.call(method, stage.path(path), stage.body(body))
        with undone():
            missing = caller.call(method, stage.path(absent(path)), stage.body(absent(body)))
        assert without_names(told(hidden)) == without_names(told(missing)), path
        if hidden.status_code >= 400 and method != "HEAD":
            assert errors_of(hidden)
        compared += 1
    assert compared > 100


def without_names(text: str) -> str:
    """Return an answer as if it were about the absent project."""
    return re.sub(r"\bsecret\b", "absent", text.replace(str(PROJECT_ID), str(NOWHERE)))
