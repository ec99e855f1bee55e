"""Pages as Harbor serves them: ``page`` and ``page_size``, totals and links in headers.

A page past the end is an empty list with 200. A ``page_size`` of 0 or below, which Harbor
takes for "everything", is refused with 422 like one above 100.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.errors import UnprocessableEntity

DEFAULT_PAGE_SIZE = 10
MAXIMUM_PAGE_SIZE = 100
_MAXIMUM_PAGE = 1 << 31


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
    ) -> list[Any]:
        """Return the rows of the asked page. Raises ``UnprocessableEntity``."""
        self.request = request
        self.page = _integer(request, "page", default=1, maximum=_MAXIMUM_PAGE)
        self.page_size = _integer(
            request, "page_size", default=DEFAULT_PAGE_SIZE, maximum=MAXIMUM_PAGE_SIZE
        )
        self.total = queryset.count() if isinstance(queryset, QuerySet) else len(queryset)
        start = (self.page - 1) * self.page_size
        if start >= self.total:
            return []
        return list(queryset[start : start + self.page_size])

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


def _integer(request: Request, name: str, *, default: int, maximum: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise UnprocessableEntity(f"{name} in query must be a whole number above 0.")
    value = int(text)
    if not 1 <= value <= maximum:
        raise UnprocessableEntity(f"{name} in query should be from 1 to {maximum}.")
    return value
