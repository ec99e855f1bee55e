"""One request on its way through the registry: what it asks for and how to answer."""

import os
from collections.abc import Mapping
from random import Random
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from core.common.origin import Origin
from core.oci.reference import RepositoryName, parse_repository_name
from registry_api.errors import RegistryError
from registry_api.headers import RequestHeaders
from registry_api.origins import ExternalAddress, external_address, origin_of
from registry_api.routing import Endpoint, Location

MAX_QUERY_BYTES: Final = 65_536
MAX_QUERY_FIELDS: Final = 1_024

# Tells requests apart and is no secret; the system's own source costs a call of the kernel.
_NUMBERS: Final = Random()  # noqa: S311
os.register_at_fork(after_in_child=_NUMBERS.seed)


class Call:
    """A request with its location; texts from the client are parsed when asked for."""

    __slots__ = (
        "_body_has_ended",
        "_query",
        "_receive",
        "body_was_asked_for",
        "headers",
        "location",
        "method",
        "request_id",
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, location: Location) -> None:
        self.scope = scope
        self.location = location
        self.method: str = scope["method"]
        self.headers = RequestHeaders(scope["headers"])
        self.request_id = f"{_NUMBERS.getrandbits(128):032x}"
        self._body_has_ended = not self.announces_body
        self.body_was_asked_for = False
        self._receive = receive
        self._query: Mapping[str, list[str]] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Which resource is asked for."""
        return self.location.endpoint

    @property
    def origin(self) -> Origin:
        """Address, user agent and request id of the client."""
        return origin_of(self.scope, self.headers, self.request_id)

    @property
    def external(self) -> ExternalAddress:
        """Scheme and host under which the client reaches the registry."""
        return external_address(self.scope, self.headers)

    def repository_name(self) -> RepositoryName:
        """Return the repository's name. Raises NameInvalid."""
        return parse_repository_name(self.location.name)

    # --- Query ------------------------------------------------------------------

    @property
    def query(self) -> Mapping[str, list[str]]:
        """Every field of the query with its values. Raises RegistryError 400 or 414."""
        if self._query is None:
            text: bytes = self.scope.get("query_string", b"")
            self._query = parsed_query(text) if text else {}
        return self._query

    def parameter(self, name: str) -> str | None:
        """Return the value of a query field, None when absent.

        Raises RegistryError when the field is there twice with different values, which
        could only be a mistake or an attempt to be understood in two ways.
        """
        values = self.query.get(name)
        if not values:
            return None
        if any(value != values[0] for value in values):
            code = "DIGEST_INVALID" if name == "digest" else "UNSUPPORTED"
            raise RegistryError(code, f"The parameter {name} is given twice.", status=400)
        return values[0]

    # --- Body -------------------------------------------------------------------

    @property
    def content_length(self) -> int | None:
        """The announced length of the body in bytes, None when it is sent in chunks."""
        text = self.headers.get("content-length")
        if text is None:
            return None if "transfer-encoding" in self.headers else 0
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise RegistryError("SIZE_INVALID", "The Content-Length is not a size.")
        return int(text)

    @property
    def announces_body(self) -> bool:
        """Whether the client has a body to send, even one that turns out empty."""
        text = self.headers.get("content-length")
        if text is None:
            return "transfer-encoding" in self.headers
        return text.strip("0") != ""

    @property
    def waits_for_permission(self) -> bool:
        """Whether the client sends its body only after 100 Continue."""
        return self.headers.get("expect", "").lower() == "100-continue"

    def body_has_ended(self) -> bool:
        """Tell whether the whole body has been received."""
        return self._body_has_ended

    async def receive(self) -> bytes:
        """Return the next piece of the body, empty at its end (and perhaps before).

        Raises ClientDisconnect when the client leaves before the end of its body.
        """
        self.body_was_asked_for = True
        message: Message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if not message.get("more_body", False):
            self._body_has_ended = True
        body: bytes = message.get("body", b"")
        return body

    async def left(self) -> None:
        """Return when the client has closed the connection; call after the body's end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def parsed_query(text: bytes) -> Mapping[str, list[str]]:
    """Return every field of a query with its values. Raises RegistryError 400 or 414."""
    if len(text) > MAX_QUERY_BYTES:
        raise RegistryError("UNSUPPORTED", "The query is too long.", status=414)
    try:
        query = parse_qs(
            text.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError as error:
        message = "The query has too many fields."
        raise RegistryError("UNSUPPORTED", message, status=414) from error
    if any("\x00" in value for values in query.values() for value in values):
        raise RegistryError("UNSUPPORTED", "The query contains NUL.", status=400)
    return query
