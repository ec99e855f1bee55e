"""Whole lists as one file: ``?format=csv``, ``?format=json`` or ``Accept: text/csv``.

The rows are those of the list with its filters and its order, without pages, read and sent in
pieces. Cells that a spreadsheet would take for a formula are marked as text.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Serializer

from core.api.errors import UnprocessableEntity
from core.api.pagination import detailed

MAXIMUM_ROWS = 100_000
PIECE_ROWS = 500
CSV, JSON = "csv", "json"
_TYPES = {CSV: "text/csv; charset=utf-8", JSON: "application/json"}
# Spreadsheets of some languages take the wide forms for the others.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Context = Callable[[list[Any]], Mapping[str, Any]]


def wanted_format(request: Request) -> str | None:
    """Return ``csv`` or ``json`` when the whole list is wanted, None for a page of it.

    Raises ``UnprocessableEntity`` for any other format.
    """
    named = request.query_params.get("format", "")
    if named:
        if named not in _TYPES:
            raise UnprocessableEntity("format in query must be csv or json.")
        return named
    accepted = request._request.accepted_type(_TYPES[CSV])
    if accepted is None or accepted.sub_type == "*":
        return None
    # Of what a client likes as much, the first that it names.
    preferred = request._request.get_preferred_type([_TYPES[JSON], _TYPES[CSV]])
    return CSV if preferred == _TYPES[CSV] else None


def export(
    rows: "QuerySet[Any] | Sequence[Any]",
    serializer_class: type[BaseSerializer[Any]],
    context: Context | None,
    *,
    details: "QuerySet[Any] | None" = None,
    form: str,
    name: str,
) -> StreamingHttpResponse:
    """Return every row as a file; with ``details`` the rows are ids that are read from it.

    Raises ``UnprocessableEntity`` when there are too many.
    """
    total = rows.count() if isinstance(rows, QuerySet) else len(rows)
    if total > MAXIMUM_ROWS:
        raise UnprocessableEntity(
            f"{total} rows are more than the {MAXIMUM_ROWS} of an export; narrow them with q."
        )
    pieces = _pieces(rows, serializer_class, context, details)
    content = _csv(pieces, _columns(serializer_class)) if form == CSV else _json(pieces)
    response = StreamingHttpResponse(content, content_type=_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    response["X-Total-Count"] = str(total)
    return response


def _pieces(
    rows: "QuerySet[Any] | Sequence[Any]",
    serializer_class: type[BaseSerializer[Any]],
    context: Context | None,
    details: "QuerySet[Any] | None",
) -> Iterator[list[dict[str, Any]]]:
    all_rows = rows.iterator(PIECE_ROWS) if isinstance(rows, QuerySet) else iter(rows)
    # Rows that were added since they were counted do not make the file any larger.
    all_rows = islice(all_rows, MAXIMUM_ROWS)
    while piece := list(islice(all_rows, PIECE_ROWS)):
        shown = piece if details is None else detailed(details, piece)
        extra = dict(context(shown)) if context is not None else {}
        yield list(serializer_class(shown, many=True, context=extra).data)


def _columns(serializer_class: type[BaseSerializer[Any]]) -> list[str]:
    serializer = serializer_class()
    return list(serializer.fields) if isinstance(serializer, Serializer) else []


def _csv(pieces: Iterator[list[dict[str, Any]]], columns: list[str]) -> Iterator[bytes]:
    yield _lines([columns])
    for piece in pieces:
        yield _lines([cell(row.get(column)) for column in columns] for row in piece)


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def cell(value: Any) -> str:
    """Return a value as the text of a cell; what looks like a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(pieces: Iterator[list[dict[str, Any]]]) -> Iterator[bytes]:
    separator = b"["
    for piece in pieces:
        for row in piece:
            yield separator + JSONRenderer().render(row)
            separator = b",\n"
    yield b"[]" if separator == b"[" else b"]"
