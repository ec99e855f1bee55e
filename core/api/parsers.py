"""Request bodies: JSON of bounded size and depth, free of what PostgreSQL cannot store."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from core.api.errors import BadRequest, BodyTooLarge

MAXIMUM_BODY_BYTES = 1 << 20
MAXIMUM_DEPTH = 32


class BoundedJSONParser(BaseParser):
    """Parses ``application/json`` and refuses hostile documents with 400 or 413."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed value. Raises ``BadRequest`` and ``BodyTooLarge``."""
        body = stream.read(MAXIMUM_BODY_BYTES + 1)
        if len(body) > MAXIMUM_BODY_BYTES:
            raise BodyTooLarge(f"The body is larger than {MAXIMUM_BODY_BYTES} bytes.")
        return parse_json(body)


def parse_json(body: bytes) -> Any:
    """Parse a JSON document of at most ``MAXIMUM_DEPTH`` levels.

    NaN and infinities, NUL characters and lone surrogates are refused. Raises ``BadRequest``.
    """
    try:
        text = body.decode()
        _ensure_shallow(text)
        value = json.loads(text, parse_constant=_refuse_constant)
    except BadRequest:
        raise
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    _ensure_storable(value)
    return value


def ensure_storable_text(text: str, where: str) -> None:
    """Refuse text that PostgreSQL cannot store. Raises ``BadRequest``."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRequest(f"The {where} contains a character that is not allowed.")


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"The body is not valid JSON: {name} is not a number.")


def _ensure_shallow(text: str) -> None:
    """Count brackets outside strings, so that no parser has to recurse to find out."""
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAXIMUM_DEPTH:
                raise BadRequest(f"The body is nested deeper than {MAXIMUM_DEPTH} levels.")
        elif character in "]}":
            depth -= 1


def _ensure_storable(value: Any) -> None:
    if isinstance(value, str):
        ensure_storable_text(value, "body")
    elif isinstance(value, dict):
        for key, item in value.items():
            ensure_storable_text(key, "body")
            _ensure_storable(item)
    elif isinstance(value, list):
        for item in value:
            _ensure_storable(item)
