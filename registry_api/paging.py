"""Lists in pages: ``n``, ``last`` and the Link header (distribution-spec, "Listing Tags")."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from registry_api.calls import Call
from registry_api.errors import RegistryError

MAX_PAGE: Final = 1_000


class Page(NamedTuple):
    """At most how many entries, and after which one; empty text stands for the start."""

    limit: int
    after: str


def page_of(call: Call, *, default: int) -> Page:
    """Return the page that the query asks for; more than is allowed becomes the maximum.

    Raises RegistryError PAGINATION_NUMBER_INVALID.
    """
    text = call.parameter("n")
    after = call.parameter("last") or ""
    if text is None:
        return Page(default, after)
    if not (text.isascii() and text.isdigit()):
        raise RegistryError("PAGINATION_NUMBER_INVALID", detail={"n": text[:32]})
    # Beyond the maximum the number does not matter, however many digits it has.
    limit = int(text) if len(text) <= len(str(MAX_PAGE)) else MAX_PAGE
    return Page(min(limit, MAX_PAGE), after)


def link_to_next(path: str, fields: Mapping[str, str | int]) -> dict[str, str]:
    """Return the Link header that leads to the next page (RFC 8288)."""
    return {"Link": f'<{quote(path)}?{urlencode(fields)}>; rel="next"'}
