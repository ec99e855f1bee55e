"""Pages as Harbor serves them: ``page`` and ``page_size``, totals and links in headers.

A page past the end is an empty list with 200. A ``page_size`` of 0 stands for all rows, as the
command line of Harbor asks for them, up to ``MAXIMUM_WHOLE``; more are refused with 422, as is a
``page_size`` above 100.

The database walks over all rows before a page. So a page in the second half is read from the
end, and lists with wide rows are paged by ids alone (``ManagementView.page``). Where it is known
how many rows each stretch of a list has, pages begin to be looked for at their stretch.

An order without an index is sorted for each page. Told how many rows it wants, the database keeps
so many of the first ones in order while it reads the others, which takes twice as long as sorting
all of them when these are thousands. Asked for ties, of which a total order has none, it sorts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.errors import UnprocessableEntity
from core.database import raw

DEFAULT_PAGE_SIZE = 10
MAXIMUM_PAGE_SIZE = 100
MAXIMUM_WHOLE = 1000
_MAXIMUM_PAGE = 1 << 31
SORTED_WHOLE_FROM = 1_000
"""From so many rows before a page on, all are sorted."""
_DIGITS = len(str(_MAXIMUM_PAGE))


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many rows of a list, one after the other; ``onward`` selects them and all behind."""

    rows: int
    onward: Q = field(default_factory=Q)


class PageNumberPagination(BasePagination):
    """One page of a list; writes ``X-Total-Count`` and a path-absolute ``Link``."""

    request: Request
    page: int
    page_size: int
    total: int

    def paginate_queryset(
        self,
        queryset: "QuerySet[Any] | Sequence[Any]",
        request: Request,
        view: APIView | None = None,
        *,
        stretches: Sequence[Stretch] | None = None,
        has_ids_only: bool = False,
    ) -> list[Any]:
        """Return the rows of the asked page. Raises ``UnprocessableEntity``.

        ``stretches`` are all of the list, where the caller knows them without counting its rows.
        ``has_ids_only`` says that its rows are ids.
        """
        self.request = request
        self.page = max(1, _integer(request, "page", default=1, maximum=_MAXIMUM_PAGE))
        self.page_size = _integer(
            request, "page_size", default=DEFAULT_PAGE_SIZE, maximum=MAXIMUM_PAGE_SIZE
        )
        if stretches is None:
            stretches = [Stretch(_count(queryset))]
        self.total = sum(stretch.rows for stretch in stretches)
        if self.page_size == 0:
            self.page, self.page_size = 1, _whole(self.total)
        start = (self.page - 1) * self.page_size
        if start >= self.total:
            return []
        end = min(start + self.page_size, self.total)
        if len(stretches) > 1 and isinstance(queryset, QuerySet):
            return _from_stretch(queryset, stretches, start, end)
        if not _has_total_order(queryset):
            return list(queryset[start:end])
        read = _ids if has_ids_only else _rows
        if start > self.total - end:
            return read(queryset.reverse(), self.total - end, self.total - start)[::-1]
        return read(queryset, start, end)

    def get_paginated_response(self, data: Any) -> Response:
        """Return the list with its paging headers."""
        response = Response(data)
        response["X-Total-Count"] = str(self.total)
        links = []
        if self.page * self.page_size < self.total:
            links.append(self._link(self.page + 1, "next"))
        if self.page > 1:
            last = max(1, -(-self.total // self.page_size))
            links.append(self._link(min(self.page - 1, last), "prev"))
        if links:
            response["Link"] = " , ".join(links)
        return response

    def _link(self, page: int, relation: str) -> str:
        parameters = [
            (key, value)
            for key, values in self.request.query_params.lists()
            for value in values
            if key not in ("page", "page_size")
        ]
        parameters += [("page", str(page)), ("page_size", str(self.page_size))]
        path = self.request.get_full_path().partition("?")[0]
        return f'<{path}?{urlencode(parameters)}>; rel="{relation}"'


def detailed(details: "QuerySet[Any]", keys: Sequence[Any]) -> list[Any]:
    """Return the rows with these primary keys in their order, without those that are gone."""
    found = details.in_bulk(keys)
    return [found[key] for key in keys if key in found]


def _count(rows: "QuerySet[Any] | Sequence[Any]") -> int:
    return rows.count() if isinstance(rows, QuerySet) else len(rows)


def _rows(rows: "QuerySet[Any]", start: int, end: int) -> list[Any]:
    return list(rows[start:end])


def _ids(ids: "QuerySet[Any]", start: int, end: int) -> list[Any]:
    """Return these places of ids in a total order."""
    if start < SORTED_WHOLE_FROM:
        return _rows(ids, start, end)
    sql, parameters = ids.query.sql_with_params()
    paged = f"{sql} OFFSET %s FETCH FIRST %s ROWS WITH TIES"
    return [row[0] for row in raw.fetch_all(paged, (*parameters, start, end - start))]


def _from_stretch(
    rows: "QuerySet[Any]", stretches: Sequence[Stretch], start: int, end: int
) -> list[Any]:
    """Return the rows of these places, counted from the stretch that the first of them is in."""
    before = 0
    for stretch in stretches:
        if start < before + stretch.rows:
            return list(rows.filter(stretch.onward)[start - before : end - before])
        before += stretch.rows
    raise AssertionError("The stretches have fewer rows than they say.")


def _whole(total: int) -> int:
    """Return the size of a page that holds all rows."""
    if total > MAXIMUM_WHOLE:
        raise UnprocessableEntity(
            f"page_size=0 in query stands for all rows, and these are {total}: "
            f"more than {MAXIMUM_WHOLE} come in pages of up to {MAXIMUM_PAGE_SIZE}."
        )
    return max(1, total)


def _has_total_order(rows: "QuerySet[Any] | Sequence[Any]") -> "TypeGuard[QuerySet[Any]]":
    """Tell whether no two rows could change places: the last thing to order by is the id."""
    return isinstance(rows, QuerySet) and rows.query.order_by[-1:] in (("id",), ("-id",))


def _integer(request: Request, name: str, *, default: int, maximum: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise UnprocessableEntity(f"{name} in query must be a whole number.")
    if text.startswith("-"):
        raise UnprocessableEntity(f"{name} in query must not be negative.")
    # Numbers of any length are compared by their first digits, never read as a whole.
    if len(digits.lstrip("0")) > _DIGITS or int(digits[-_DIGITS:]) > maximum:
        raise UnprocessableEntity(f"{name} in query must be at most {maximum}.")
    return int(digits[-_DIGITS:])
