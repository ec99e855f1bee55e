"""What every operation of one sort has in common, added to the OpenAPI document in one place.

Entity tags of single objects, ``Idempotency-Key`` of POST, lists as files: views say nothing of
them, because ``core.api.views`` does them for all.
"""

from copy import deepcopy
from typing import Any

from core.api.conditions import CHANGING
from core.api.documentation import CONDITIONAL, ERROR_DESCRIPTIONS, KEYLESS

_TEXT = {"type": "string"}
_ETAG = {"description": "Strong entity tag of the representation.", "schema": _TEXT}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Entity tags that the caller has; 304 when one of them is current.",
    "schema": _TEXT,
    "example": '"0c7e2a51d1f8a04d9b6d9c1b7f6a2e55"',
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "Entity tag of the state to be changed; 412 when it is no longer current.",
    "schema": _TEXT,
    "example": "*",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Any text the caller makes up, remembered for 24 hours: a repetition of the request "
        "gets the first response. 409 while that is not known, with Retry-After, or when it is "
        "not kept; 422 for another request."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "5f0c1c9e-9d5c-4b3e-8a53-0f7b0b5b8a11",
}
FORMAT = {
    "name": "format",
    "in": "query",
    "description": "All rows of the list as a file, without pages; at most 100000.",
    "schema": {"type": "string", "enum": ["csv", "json"]},
    "example": "json",
}


def add_conventions(result: dict[str, Any], **_others: object) -> dict[str, Any]:
    """Describe what ``core.api.views`` does for all views. A hook of drf-spectacular."""
    for operations in result["paths"].values():
        read = operations.get("get")
        changing = [operations[m.lower()] for m in sorted(CHANGING) if m.lower() in operations]
        if read is not None and changing and _is_object(read):
            for operation in changing:
                _add_parameter(operation, IF_MATCH)
            _describe_tags(read)
        for operation in changing:
            # Also where there is no object with a tag, of which no state can be named but any.
            _add_error(operation, 412)
        if operations.get("post", {}).pop(CONDITIONAL, False):
            _add_parameter(operations["post"], IF_MATCH)
            _add_error(operations["post"], 412)
        if read is not None and "X-Total-Count" in _success(read).get("headers", {}):
            _add_parameter(read, FORMAT)
            _success(read)["content"]["text/csv"] = {
                "schema": _TEXT,
                "example": "id,name\r\n1,library\r\n",
            }
        if "post" in operations and not operations["post"].pop(KEYLESS, False):
            _add_parameter(operations["post"], IDEMPOTENCY_KEY)
            _add_error(operations["post"], 409)
    return result


def _success(operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation["responses"].get("200", {})
    return found


def _is_object(read: dict[str, Any]) -> bool:
    content = _success(read).get("content", {}).get("application/json", {})
    return bool(content) and content["schema"].get("type") != "array"


def _describe_tags(read: dict[str, Any]) -> None:
    _add_parameter(read, IF_NONE_MATCH)
    _success(read).setdefault("headers", {})["ETag"] = _ETAG
    read["responses"]["304"] = {
        "description": "The caller has this representation already.",
        "headers": {"ETag": _ETAG},
    }


def _add_parameter(operation: dict[str, Any], parameter: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(parameter)


def _add_error(operation: dict[str, Any], status: int) -> None:
    like: dict[str, Any] = operation["responses"]["400"]
    operation["responses"].setdefault(
        str(status), {**deepcopy(like), "description": ERROR_DESCRIPTIONS[status]}
    )
