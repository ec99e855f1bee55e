"""Requests as they come over one connection, read by llhttp, the parser of Node.js.

It refuses whatever two readers could understand in two ways. What it lets pass is bounded here, in
bytes, and handed on as an ASGI scope.
"""

from collections.abc import MutableMapping
from typing import Any, Final, Protocol
from urllib.parse import unquote

import httptools

from core.config.file_sending import EXTENSION
from core.config.http_exchange import Exchange

REQUEST_LINE_BYTES: Final = 8190
# A registry token that names many repositories is larger than the usual 8 KiB.
HEADER_BYTES: Final = 65_536
HEADER_FIELDS: Final = 100

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
_EXTENSIONS: Final[dict[str, dict[str, object]]] = {EXTENSION: {}}

Scope = MutableMapping[str, Any]
Address = tuple[str, int] | None


class Refused(Exception):
    """A request is not taken in; the connection ends with this status.

    The message says more than the one that belongs to the status.
    """

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Begin(Protocol):
    """What is called with the head of each request."""

    def __call__(self, scope: Scope, *, keeps_alive: bool, expects_continue: bool) -> Exchange:
        """Return the exchange that takes the request's body."""


class Requests:
    """Turns bytes into requests and their bodies."""

    def __init__(self, begin: Begin, *, server: Address, client: Address) -> None:
        """Take what is to be called with each head, and the connection's two ends."""
        self._begin = begin
        self._server = server
        self._client = client
        self._parser = httptools.HttpRequestParser(self)
        self._framing = b""
        self.receiving: Exchange | None = None
        """The exchange whose body is coming."""
        self._new_head()

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request has come, the whole of which is awaited."""
        return self._head_bytes > 0 or self.receiving is not None

    def feed(self, data: bytes) -> None:
        """Take what has come. Raises Refused."""
        self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, Refused):
                raise cause from None
            raise
        except httptools.HttpParserError:
            raise Refused(400) from None
        # The parser keeps a field until it has all of it.
        if self._head_bytes > REQUEST_LINE_BYTES + HEADER_BYTES:
            raise Refused(431)

    def _feed(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while rest:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
            # A server need not switch to what is offered: what follows is HTTP/1.1, the body of
            # this request to begin with, which the parser would leave to the other protocol.
            self._parser = httptools.HttpRequestParser(self)
            if self._framing:
                framing, self._framing = self._framing, b""
                self._parser.feed_data(framing)

    def _new_head(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._head_bytes = 0
        self._expects_continue = False
        self._has_host = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        if self.receiving is not None:
            return
        self._url += url
        if len(self._url) > REQUEST_LINE_BYTES:
            path = self._url.partition(b"?")[0]
            what = "The path" if len(path) > REQUEST_LINE_BYTES else "The query"
            raise Refused(
                414, f"{what} is too long: both together may have {REQUEST_LINE_BYTES} bytes."
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody asks for."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES:
            raise Refused(431)
        if self.receiving is not None:
            return
        name, value = name.lower(), value.rstrip(b" \t")
        self._headers.append((name, value))
        if len(self._headers) > HEADER_FIELDS:
            raise Refused(431)
        if name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise Refused(501)
        elif name == b"host":
            if self._has_host:
                # Each half of the product might believe another one.
                raise Refused(400)
            self._has_host = True

    def on_headers_complete(self) -> None:
        """Have the request served."""
        if self.receiving is not None:
            return
        parser = self._parser
        version, method = parser.get_http_version(), parser.get_method().decode("ascii")
        if version not in ("1.1", "1.0") or method == "CONNECT":
            raise Refused(400)
        is_old = version == "1.0"
        if not is_old and not self._has_host:
            raise Refused(400)
        if is_old and any(name == b"transfer-encoding" for name, _ in self._headers):
            # Older software on the way may have taken another length for the body's.
            raise Refused(400)
        self.receiving = self._begin(
            self._scope(method, version),
            keeps_alive=not is_old and parser.should_keep_alive(),
            expects_continue=self._expects_continue and not is_old,
        )
        self._head_bytes = 0
        if parser.should_upgrade():
            self._framing = _framing(self._headers)

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body."""
        self._head_bytes = 0
        if self.receiving is not None:
            self.receiving.feed(body)

    def on_message_complete(self) -> None:
        """Expect the next request."""
        if self._framing:
            return
        if self.receiving is not None:
            self.receiving.end()
            self.receiving = None
        self._new_head()

    def _scope(self, method: str, version: str) -> Scope:
        target = self._url
        if not target.startswith(b"/"):
            target = _origin_form(target)
        raw_path, _, query = target.partition(b"?")
        text = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method,
            "scheme": "http",
            "path": unquote(text) if "%" in text else text,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "server": self._server,
            "client": self._client,
            "extensions": _EXTENSIONS if method != "HEAD" else {},
        }


def _origin_form(target: bytes) -> bytes:
    """Return path and query of a target in absolute form (RFC 9112, section 3.2.2).

    Raises Refused.
    """
    if target == b"*":
        return target
    try:
        parts = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise Refused(400) from None
    path = parts.path or b"/"
    return path + b"?" + parts.query if parts.query else path


def _framing(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a head that announces nothing but the same body; empty when there is none."""
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if name in (b"content-length", b"transfer-encoding")
    ]
    return b"POST / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n" if lines else b""
