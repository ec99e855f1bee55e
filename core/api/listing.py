"""Lists that can be filtered by ``q`` and ordered by ``sort``.

A feature declares a ``Listing``: the keys a client may use and the columns behind them.
Unknown keys are ignored, as Harbor ignores them; a value that a column cannot have is 400.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django.db.models import Expression, Q, QuerySet
from rest_framework.request import Request

from core.api.errors import BadRequest
from core.api.flags import truth_of
from core.api.query_language import (
    AllOf,
    AnyOf,
    Exact,
    Fuzzy,
    Pattern,
    Range,
    normal_key,
    parse_query,
    parse_sort,
)

Special = Callable[["QuerySet[Any]", Pattern], "QuerySet[Any]"]
_BIGGEST = (1 << 63) - 1


class ColumnKind(StrEnum):
    """What values a column has."""

    TEXT = "text"
    INTEGER = "integer"
    TIME = "time"
    BOOLEAN = "boolean"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Column:
    """One key of a list. ``lookup`` is the ORM path behind it, or the name of ``computed``.

    Rows get a computed expression only where it is asked for: it takes a while to put into SQL.
    """

    lookup: str
    kind: ColumnKind = ColumnKind.TEXT
    is_sortable: bool = True
    computed: Expression | None = None

    def prepare(self, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Return the rows so that ``lookup`` can be used with them."""
        return queryset if self.computed is None else queryset.alias(**{self.lookup: self.computed})


@dataclass(frozen=True)
class Listing:
    """The filters and orders of one list.

    ``special`` holds keys that no plain column can answer; its functions get the pattern as
    parsed. ``default_order`` are ORM order terms; the id always breaks ties, in the direction of
    the last term, so that one index serves an order and its reverse.
    """

    columns: Mapping[str, Column]
    default_order: tuple[str, ...]
    special: Mapping[str, Special] = field(default_factory=dict)

    def apply(self, queryset: "QuerySet[Any]", request: Request) -> "QuerySet[Any]":
        """Return the rows that ``q`` selects in the order of ``sort``. Raises ``BadRequest``."""
        terms = self.order(request)
        lookups = {term.removeprefix("-") for term in terms}
        for column in self.columns.values():
            if column.lookup in lookups:
                queryset = column.prepare(queryset)
        return self.select(queryset, request).order_by(*terms)

    def select(self, queryset: "QuerySet[Any]", request: Request) -> "QuerySet[Any]":
        """Return the rows that ``q`` selects. Raises ``BadRequest``."""
        columns = {normal_key(key): column for key, column in self.columns.items()}
        names = {normal_key(key): key for key in self.columns}
        special = {normal_key(key): function for key, function in self.special.items()}
        for term in parse_query(request.query_params.get("q", "")):
            if term.key in special:
                queryset = special[term.key](queryset, term.pattern)
            elif term.key in columns:
                column, name = columns[term.key], names[term.key]
                queryset = column.prepare(queryset).filter(condition(column, term.pattern, name))
        return queryset

    def asked_for(self, request: Request) -> frozenset[str]:
        """Return the keys of ``q`` that select by something, as they are declared."""
        asked = {term.key for term in parse_query(request.query_params.get("q", ""))}
        known = (*self.columns, *self.special)
        return frozenset(key for key in known if normal_key(key) in asked)

    def order(self, request: Request) -> list[str]:
        """Return the ORM terms for ``sort``, the id at the end."""
        columns = {normal_key(key): column for key, column in self.columns.items()}
        terms: list[str] = []
        for order in parse_sort(request.query_params.get("sort", "")):
            column = columns.get(order.key)
            if column is not None and column.is_sortable:
                terms.append(("-" if order.is_descending else "") + column.lookup)
        terms = terms or list(self.default_order)
        if terms[-1] in ("id", "-id"):
            return terms
        return [*terms, "-id" if terms[-1].startswith("-") else "id"]


def condition(column: Column, pattern: Pattern, key: str) -> Q:
    """Translate a pattern into an ORM condition on the column. Raises ``BadRequest``."""
    lookup = column.lookup
    match pattern:
        case Exact(value):
            return Q(**{lookup: _value(column, value, key)})
        case Fuzzy(value):
            if column.kind not in (ColumnKind.TEXT, ColumnKind.ADDRESS):
                raise BadRequest(f"q: {key} cannot be searched with ~.")
            return Q(**{f"{lookup}__icontains": value})
        case Range(minimum, maximum, has_its_ends):
            combined, end = Q(), "e" if has_its_ends else ""
            if minimum is not None:
                combined &= Q(**{f"{lookup}__gt{end}": _value(column, minimum, key)})
            if maximum is not None:
                combined &= Q(**{f"{lookup}__lt{end}": _value(column, maximum, key)})
            return combined
        case AnyOf(values):
            return Q(**{f"{lookup}__in": [_value(column, value, key) for value in values]})
        case AllOf(values):
            combined = Q()
            for value in values:
                combined &= Q(**{lookup: _value(column, value, key)})
            return combined


def _value(column: Column, text: str, key: str) -> str | int | bool | datetime:
    if column.kind is ColumnKind.INTEGER:
        return integer(text, key)
    if column.kind is ColumnKind.TIME:
        return _time(text, key)
    if column.kind is ColumnKind.BOOLEAN:
        return boolean(text, key)
    if column.kind is ColumnKind.ADDRESS:
        return _address(text, key)
    return text


def boolean(text: str, key: str) -> bool:
    """Return the truth value that a key of ``q`` has. Raises ``BadRequest``."""
    value = truth_of(text)
    if value is None:
        raise BadRequest(f"{key} must be true or false.")
    return value


def integer(text: str, key: str) -> int:
    """Return a number that a column may hold. Raises ``BadRequest``."""
    if len(text) <= 20 and text.isascii() and text.removeprefix("-").isdigit():
        value = int(text)
        if -_BIGGEST <= value <= _BIGGEST:
            return value
    raise BadRequest(f"{key} must be a whole number.")


def _address(text: str, key: str) -> str:
    # PostgreSQL has no place for the zone of a link-local address.
    if "%" not in text:
        try:
            return str(ipaddress.ip_address(text.strip()))
        except ValueError:
            pass
    raise BadRequest(f"{key} must be an IP address.")


def _time(text: str, key: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{key} must be a time such as 2026-01-31T13:45:00.") from error
