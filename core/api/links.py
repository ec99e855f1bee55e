"""Links of the OpenAPI document: which operations take what an answer shows.

A list leads to the operations on its rows, and an object that shows its own id when it is created
leads to those on itself. They follow from the paths and the shapes, so views say nothing of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_METHODS = ("get", "put", "patch", "delete")
_PARAMETER = re.compile(r"\{(\w+)\}")
# How a path calls a member that has another name in its row.
_MEMBERS = {"reference": "digest", "tag": "name"}


def add_links(result: dict[str, Any], **_others: object) -> dict[str, Any]:
    """Describe the links of every list and of what is created. A hook of drf-spectacular."""
    paths: Mapping[str, Any] = result["paths"]
    schemas = result.get("components", {}).get("schemas", {})
    for path, item, name in items_of(paths):
        for method, status, pointer in (("get", "200", "/0"), ("post", "201", "")):
            response = paths[path].get(method, {}).get("responses", {}).get(status, {})
            row = _row(response, schemas, is_list=method == "get")
            member = next((one for one in _candidates(name) if one in row), None)
            if member is not None:
                parameters = given(path) | {name: f"$response.body#{pointer}/{member}"}
                response["links"] = links_to(paths[item], parameters)
    return result


def items_of(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each path of a collection, that of its items, and the parameter that tells them."""
    for item in paths:
        path, _, last = item.rpartition("/")
        found = _PARAMETER.fullmatch(last)
        if found is not None and path in paths:
            yield path, item, found[1]


def given(path: str) -> dict[str, str]:
    """Return the parameters of a path as links below it hand them on."""
    return {name: f"$request.path.{name}" for name in _PARAMETER.findall(path)}


def links_to(operations: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a link to each operation on an item, named like the operation."""
    return {
        operations[method]["operationId"]: {
            "operationId": operations[method]["operationId"],
            "parameters": dict(parameters),
        }
        for method in _METHODS
        if method in operations and "x-later" not in operations[method]
    }


def _candidates(name: str) -> tuple[str, ...]:
    if name == "repository":
        # Rows show it with its project, and OpenAPI has no words for a part of a member.
        return ()
    return (_MEMBERS.get(name, name), "id", f"{name}_id")


def _row(
    response: Mapping[str, Any], schemas: Mapping[str, Any], *, is_list: bool
) -> Mapping[str, Any]:
    """Return the members of the shape that a response shows, or of its rows."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    if is_list != (schema.get("type") == "array"):
        return {}
    shape = schema.get("items", {}) if is_list else schema
    reference = shape.get("$ref", "").rpartition("/")[2]
    members: Mapping[str, Any] = schemas.get(reference, shape).get("properties", {})
    return members
