"""One request and its answer, as an ASGI application sees them."""

import asyncio
from collections.abc import MutableMapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any, Final, Protocol

from core.config.file_sending import EXTENSION

Message = MutableMapping[str, Any]
Headers = Sequence[tuple[bytes, bytes]]

BODY_BUFFER_BYTES: Final = 256 << 10
"""How much of a body waits for the application before the client has to."""

LARGE_BYTES: Final = 64 << 10
"""From this size on, a body is written by itself rather than copied behind the head."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Protocol):
    """What an exchange asks of its connection (``core.config.http_connection``)."""

    @property
    def is_lost(self) -> bool:
        """Whether the client has left."""

    @property
    def is_stopping(self) -> bool:
        """Whether the connection is to end with this request."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def drained(self) -> None:
        """Return when there is room for more bytes."""

    async def send_file(self, head: bytes, file: int, offset: int, count: int) -> None:
        """Send a stretch of a file after some bytes."""

    def pause_reading(self) -> None:
        """Take no more bytes from the client for now."""

    def resume_reading(self) -> None:
        """Take bytes from the client again."""


class Exchange:
    """Takes the body of a request in, and sends the answer out."""

    def __init__(
        self,
        connection: Connection,
        scope: MutableMapping[str, Any],
        *,
        keeps_alive: bool,
        expects_continue: bool,
    ) -> None:
        """Begin with the head of a request."""
        self.scope = scope
        self._connection = connection
        self._expects_continue = expects_continue
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._news: asyncio.Event | None = None
        self._is_waiting = False
        self._is_broken = False
        self._end_was_given = False
        self.is_received = False
        """Whether the whole body has come."""
        self.closes = not keeps_alive
        """Whether the connection ends with the answer."""
        self.is_begun = False
        """Whether the client may have seen a part of the answer."""
        self.is_answered = False
        """Whether the answer is complete."""
        self._head: bytes | None = None
        self._length: int | None = None
        self._sent_bytes = 0
        self._is_chunked = False
        self._omits_body = scope["method"] == "HEAD"

    # --- The request's body -----------------------------------------------------

    @property
    def waits_for_body(self) -> bool:
        """Whether the application waits for bytes that the client has not sent."""
        return self._is_waiting

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= BODY_BUFFER_BYTES:
            self._connection.pause_reading()
        self.news()

    def end(self) -> None:
        """Note that the body is complete."""
        self.is_received = True
        self.news()

    def break_off(self) -> None:
        """Note that the rest of the body cannot be understood."""
        self._is_broken = True
        self.news()

    def news(self) -> None:
        """Wake whoever waits for the client."""
        if self._news is not None:
            self._news.set()

    async def receive(self) -> Message:
        """Return the next piece of the body, or that the client has left (ASGI)."""
        if self._expects_continue:
            self._permit()
        while True:
            if self._pieces or (self.is_received and not self._end_was_given):
                return self._next_piece()
            if self._is_broken or self._connection.is_lost:
                return {"type": "http.disconnect"}
            if self._end_was_given and self.is_answered:
                return {"type": "http.disconnect"}
            self._news = self._news or asyncio.Event()
            self._news.clear()
            self._is_waiting = not self.is_received
            try:
                await self._news.wait()
            finally:
                self._is_waiting = False

    def _permit(self) -> None:
        self._expects_continue = False
        if not self.is_begun and not self.is_received and not self._pieces:
            self._connection.write(_CONTINUE)

    def _next_piece(self) -> Message:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        if self._waiting_bytes >= BODY_BUFFER_BYTES:
            self._connection.resume_reading()
        self._waiting_bytes = 0
        self._end_was_given = self.is_received
        return {"type": "http.request", "body": body, "more_body": not self.is_received}

    # --- The answer -------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Send a message of the answer (ASGI), with the extension for stretches of files.

        Does nothing when the client has left, but for a file. Raises RuntimeError for an answer
        that HTTP does not allow, and for a file what ``FileSending.run`` raises.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
        elif kind == "http.response.body":
            self._write(message.get("body", b""), is_last=not message.get("more_body", False))
            await self._connection.drained()
        elif kind == EXTENSION:
            await self._send_from_file(message)
            if not message.get("more_body", False):
                self._write(b"", is_last=True)
        else:
            raise RuntimeError(f"Messages of type {kind} are not understood.")

    def _begin(self, status: int, headers: Headers) -> None:
        if self._head is not None or self.is_begun:
            raise RuntimeError("The answer has begun already.")
        if self._expects_continue and not self.is_received:
            # Nobody has asked for the body, and whether it still comes is for the client to say.
            self._expects_continue = False
            self.closes = True
        has_no_body = status < 200 or status in (204, 304)
        self._omits_body = self._omits_body or has_no_body
        lines = [_status_line(status)]
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-length":
                self._length = int(value)
                if status < 200 or status == 204:
                    continue
            elif lowered == b"connection":
                self.closes = self.closes or value.lower() == b"close"
                continue
            elif lowered == b"transfer-encoding":
                raise RuntimeError("The framing of an answer is for the server to choose.")
            lines.append(b"%b: %b\r\n" % (name, value))
        self._head = self._complete(lines)

    def _complete(self, lines: list[bytes]) -> bytes:
        """Return the head with what the server adds."""
        if self._length is None and not self._omits_body:
            if self.scope["http_version"] == "1.0":
                self.closes = True
            else:
                self._is_chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        self.closes = self.closes or self._connection.is_stopping
        if self.closes:
            lines.append(b"connection: close\r\n")
        lines.append(_date_line(int(time())))
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise RuntimeError("A header of the answer contains a control character.")
        return head + b"\r\n"

    def _write(self, body: bytes, *, is_last: bool) -> None:
        if self.is_answered or not (self.is_begun or self._head is not None):
            raise RuntimeError("There is no answer under way.")
        if self._omits_body:
            body = b""
        self._count(len(body))
        if self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body)) if body else b""
            body += b"0\r\n\r\n" if is_last else b""
        if body or is_last:
            self._put(body)
        if is_last:
            if self._length not in (None, self._sent_bytes) and not self._omits_body:
                self.closes = True
            self.is_answered = True
            self.news()

    def _put(self, body: bytes) -> None:
        """Write bytes, behind the head if it still waits for them."""
        head, self._head = self._head, None
        self.is_begun = True
        if head is not None and len(body) < LARGE_BYTES:
            body = head + body
        elif head is not None:
            self._connection.write(head)
        if body:
            self._connection.write(body)

    async def _send_from_file(self, message: Message) -> None:
        if self._length is None:
            raise RuntimeError("A file needs a Content-Length.")
        count = message["count"]
        self._count(count)
        head, self._head = self._head, None
        self.is_begun = True
        file = message["file"].fileno()
        await self._connection.send_file(head or b"", file, message["offset"], count)

    def _count(self, size: int) -> None:
        """Hold the answer to its announced length. Raises RuntimeError."""
        self._sent_bytes += size
        if self._length is not None and self._sent_bytes > self._length:
            raise RuntimeError("The answer is longer than its Content-Length.")


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


@lru_cache(maxsize=1)
def _date_line(seconds: int) -> bytes:
    return f"date: {formatdate(seconds, usegmt=True)}\r\n".encode()
