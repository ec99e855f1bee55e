"""Request bodies: JSON of bounded size and depth, free of what PostgreSQL cannot store."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from core.api.errors import BadRequest, BodyTooLarge, UnprocessableEntity

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


def members_of(body: Any) -> Mapping[str, Any]:
    """Return a parsed body that is an object. Raises ``UnprocessableEntity`` for another value."""
    if not isinstance(body, Mapping):
        raise UnprocessableEntity("The body must be an object.")
    return body


def ensure_storable_text(text: str, where: str) -> None:
    """Refuse text that PostgreSQL cannot store; ``where`` begins the message.

    Raises ``BadRequest``.
    """
    if not is_storable(text):
        raise BadRequest(f"{where} contains a character that is not allowed.")


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can store a text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


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
    """Name the member that holds the fault; its path is made only then."""
    path = _unstorable(value)
    if path is not None:
        where = path.removeprefix(".") or "The body"
        raise BadRequest(f"{where} contains a character that is not allowed.")


def _unstorable(value: Any) -> str | None:
    """Return where in a document a text is that cannot be stored, None when all can."""
    if isinstance(value, str):
        return None if is_storable(value) else ""
    if isinstance(value, dict):
        for key, item in value.items():
            path = _unstorable(item) if is_storable(key) else ""
            if path is not None:
                return f".{_shown(key)}{path}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            path = _unstorable(item)
            if path is not None:
                return f"[{index}]{path}"
    return None


def _shown(key: str) -> str:
    return "".join(character for character in key[:64] if character.isprintable())
