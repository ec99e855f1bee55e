"""Paths of the API that are no route: those with a slash too many, and those that lead nowhere."""

import re
from typing import ClassVar, Final

from django.urls import Resolver404, ResolverMatch, URLPattern, get_resolver
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.errors import NotFound
from core.api.permissions import Access, Public
from core.api.views import ManagementView

_ONE_SLASH: Final = re.compile(r"[^/]/\Z")
_SOME_ID: Final = (1 << 59) - 1
_MAXIMUM_SEGMENTS: Final = 16


class UnknownRouteView(ManagementView):
    """Every path of the API that leads nowhere."""

    access: ClassVar[dict[str, Access]] = {
        method: Public("a path that does not exist tells nothing")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    }
    schema = None  # type: ignore[assignment]  # left out of the OpenAPI document

    def handle(self, request: Request, path: str = "") -> Response:
        """Raise ``NotFound``, which says so where only an id is none."""
        name = _name_of_wrong_id(request.path_info)
        if name is None:
            raise NotFound(f"There is no such route: {request.path}")
        thing = name.removesuffix("_id").replace("_", " ")
        raise NotFound(
            f"There is no such {thing}: {name} in path must be a number of at most 18 digits."
        )

    get = post = put = patch = delete = handle


class UnknownRoute(URLPattern):
    """The route of ``UnknownRouteView``, which comes last.

    A path with one slash at its end is the one without, in every method: it leads to that route
    itself and not to a redirect, in which clients would lose their body. An encoded slash is part
    of a name and stays.
    """

    def resolve(self, path: str) -> ResolverMatch | None:
        """Return where the path leads without its last slash, if it has just one."""
        matched = super().resolve(path)
        if matched is None or _ONE_SLASH.search(path) is None:
            return matched
        return get_resolver().resolve(f"/{path[:-1]}")


def _name_of_wrong_id(path: str) -> str | None:
    """Return the name of the id in whose place a path has something else, None if there is none."""
    segments = path.removesuffix("/").split("/")
    if len(segments) > _MAXIMUM_SEGMENTS:
        return None
    for index in range(1, len(segments)):
        with_id = [*segments[:index], str(_SOME_ID), *segments[index + 1 :]]
        try:
            names = get_resolver().resolve("/".join(with_id)).kwargs
        except Resolver404:
            continue
        for name, value in names.items():
            if value == _SOME_ID:
                return name
    return None
