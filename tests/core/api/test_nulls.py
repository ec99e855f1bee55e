"""Clients that write null for what they leave out: nothing is refused, and nothing else changes.

Within lists it stands for nothing, and is refused.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.api.fields import ExactRequestSerializer
from core.api.system import openapi_document
from tests.core.api.cast import body_of, errors_of, undone
from tests.core.api.stage import Stage
from tests.core.api.test_matrix import REPOSITORY, ROBOT
from tests.core.api.test_openapi import operations

pytestmark = pytest.mark.django_db


def _robot(**members: Any) -> dict[str, Any]:
    (permission,) = ROBOT["permissions"]
    accesses = [{"resource": "repository", "action": "pull", "effect": None}]
    return {**ROBOT, "permissions": [{**permission, "access": accesses}], **members}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        (
            "POST",
            "/labels",
            {"name": "x", "scope": "g", "description": None, "color": None},
            201,
        ),
        ("PUT", "/labels/{label}", {"name": "x", "description": None, "color": None}, 200),
        (
            "POST",
            "/robots",
            _robot(description=None, disable=None, secret=None, duration=None),
            201,
        ),
        ("PUT", "/robots/{robot}", {"description": None, "disable": None, "name": None}, 200),
        ("PATCH", "/robots/{robot}", {"secret": None}, 200),
        (
            "POST",
            "/users",
            {
                "username": "new",
                "password": "Correct-horse-1",
                "email": None,
                "realname": None,
                "comment": None,
            },
            201,
        ),
        (
            "POST",
            "/projects/secret/members",
            {
                "role_id": 2,
                "member_user": {"user_id": None, "username": "outsider"},
                "member_group": None,
            },
            201,
        ),
        ("PUT", REPOSITORY, {"description": None}, 200),
        ("POST", "/usergroups", {"group_name": "g", "group_type": 3, "ldap_group_dn": None}, 201),
        ("POST", "/labels", {"name": None, "scope": "g"}, 422),
    ],
)
def test_null_for_what_may_be_left_out(
    stage: Stage, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    with undone():
        response = stage.cast["admin"].call(method, stage.path(path), body)
    assert response.status_code == status, response.content


def test_null_changes_nothing_where_left_out_means_unchanged(stage: Stage) -> None:
    admin, user = stage.cast["admin"], stage.path("/users/{guest}")
    with undone():
        profile = {"email": "guest@example.org", "realname": "Guest", "comment": "seen"}
        assert admin.put(user, profile).status_code == 200
        changed = {"email": None, "realname": None, "comment": "again"}
        assert admin.put(user, changed).status_code == 200
        assert body_of(admin.get(user)).items() >= {**profile, "comment": "again"}.items()


def test_null_in_a_list_is_refused_in_every_body(stage: Stage) -> None:
    document = openapi_document()
    checked, wrong = set(), []
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or "x-later" in operation:
            continue
        for where, body in _bodies_with_null(document, content):
            response = _send(stage, path, method, operation, body)
            checked.add(f"{operation['operationId']} {where}")
            told = errors_of(response)[0]["message"] if response.status_code >= 400 else ""
            if response.status_code != 422 or f"{where}: This field may not be null." not in told:
                wrong.append(f"{method} {path} {where}: {response.status_code} {told}")
    assert wrong == []
    assert {
        "updateTheSystemSCveAllowlist items[0]",
        "createAProject cve_allowlist.items[0]",
        "createAnImmutableTagRule tag_selectors[0]",
        "createAnImmutableTagRule scope_selectors.repository[0]",
        "createARobot permissions[0].access[0]",
        "actOnManyArtifacts tags[0]",
    } <= checked


def test_null_is_refused_where_what_is_left_out_holds_back(stage: Stage) -> None:
    document = openapi_document()
    exact = {
        cls.__name__.removesuffix("Serializer") for cls in ExactRequestSerializer.__subclasses__()
    }
    answers: dict[str, tuple[int, bool]] = {}
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        shape = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if shape not in exact:
            continue
        for steps in _members_of(document, content["schema"]):
            body = _with_null(content["example"], steps)
            name = ".".join(map(str, steps))
            response = _send(stage, path, method, operation, body)
            refusal = errors_of(response)[0]["message"] if response.status_code >= 400 else ""
            is_named = f"{name}: This field may not be null." in refusal
            answers[f"{operation['operationId']} {name}"] = response.status_code, is_named
    assert {where for where, answer in answers.items() if answer != (422, True)} == {
        # Such a tag or token lives for ever.
        "setATagSExpiry expires_at",
        "createAPersonalAccessToken expires_at",
    }
    assert {
        "restoreAnEntryOfTheTrash tags",
        "transferARepository project",
        "actOnManyArtifacts selector.untagged",
    } <= set(answers)


@pytest.mark.parametrize("body", [None, [], [1], 0, False, "", "tags"])
def test_a_body_is_an_object(stage: Stage, body: Any) -> None:
    for method, path in (
        ("POST", "/projects/secret/trash/{entry}/restore"),
        ("POST", "/labels"),
        ("POST", "/projects/secret/metadatas/"),
        ("PUT", "/configurations"),
    ):
        with undone():
            response = stage.cast["admin"].call(
                method, stage.path(path), raw=json.dumps(body).encode()
            )
        assert response.status_code == 422, path
        assert errors_of(response)[0]["message"].startswith("The body must be an object")


def _send(stage: Stage, path: str, method: str, operation: dict[str, Any], body: Any) -> Any:
    for row in operation.get("parameters", []):
        if row["in"] == "path":
            name = row["name"].removesuffix("_id").replace("immutable_rule", "rule")
            named = {**stage.ids, "user": stage.ids["guest"], "project_name": "secret"}
            path = path.replace(f"{{{row['name']}}}", str(named.get(name, row["example"])))
    with undone():
        return stage.cast["admin"].call(method.upper(), path, body)


def _bodies_with_null(
    document: dict[str, Any], content: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the example of a body with null as the first item of each of its lists, and where."""
    for steps in _lists_of(document, content["schema"]):
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        yield where.removeprefix("."), _with_null(content["example"], steps)


def _with_null(value: Any, steps: tuple[str | int, ...]) -> Any:
    if not steps:
        return None
    first, *rest = steps
    if isinstance(first, int):
        return [_with_null((value or [{}])[first], tuple(rest))]
    value = value or {}
    return {**value, first: _with_null(value.get(first), tuple(rest))}


def _members_of(
    document: dict[str, Any], schema: dict[str, Any], steps: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield how to get to each member, also of the objects inside."""
    for each in (schema, *schema.get("allOf", ())):
        if "$ref" in each:
            named = document["components"]["schemas"][each["$ref"].rpartition("/")[2]]
            yield from _members_of(document, named, steps)
        for name, member in each.get("properties", {}).items():
            yield (*steps, name)
            yield from _members_of(document, member, (*steps, name))


def _lists_of(
    document: dict[str, Any], schema: dict[str, Any], steps: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Yield how to get to the first item of each list."""
    for each in (schema, *schema.get("allOf", ()), *schema.get("oneOf", ())):
        if "$ref" in each:
            named = document["components"]["schemas"][each["$ref"].rpartition("/")[2]]
            yield from _lists_of(document, named, steps)
        if "items" in each:
            yield (*steps, 0)
            yield from _lists_of(document, each["items"], (*steps, 0))
        for name, member in each.get("properties", {}).items():
            yield from _lists_of(document, member, (*steps, name))
        if isinstance(each.get("additionalProperties"), dict):
            yield from _lists_of(document, each["additionalProperties"], (*steps, "repository"))
