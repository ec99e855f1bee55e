"""Gunicorn's ASGI worker with bounds on its connections, and with files sent by the kernel.

As it comes, the worker waits out its whole grace period for idle connections when
it stops, takes any number of connections, and lets a client hold one for ever without
sending a request or without reading the answer.
"""

import fcntl
import json
import sys
import termios
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from gunicorn.asgi import protocol
from gunicorn.asgi.protocol import HIGH_WATER_LIMIT, ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from core.config.file_sending import EXTENSION, Answer, FileSending

# Gunicorn knows the phrases of common statuses and calls the others "Unknown".
protocol._REASON_PHRASES.update({s.value: s.phrase for s in HTTPStatus})

FIRST_REQUEST_SECONDS = 60.0
# A client that takes none of its answer for this long is not coming back for it.
STALLED_SECONDS = 120.0
LOOK_SECONDS = 10.0
SENDING_THREADS = 16

# What the server itself refuses, in words of its own: gunicorn's quote the request.
REFUSALS = {
    400: ("BAD_REQUEST", "The request is not valid HTTP."),
    414: ("URI_TOO_LONG", "The address is too long."),
    431: ("HEADERS_TOO_LARGE", "The headers are too large."),
    501: ("NOT_IMPLEMENTED", "The transfer coding is not supported."),
    503: ("UNAVAILABLE", "There are too many connections; try again."),
}


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no type hints
    """One connection, known to its worker."""

    def __init__(self, worker: Any) -> None:
        """Stand between gunicorn and the application."""
        super().__init__(worker)
        self._application = worker.asgi
        self.app: Any = self._run_application
        self._answer: Answer | None = None
        self._sending: FileSending | None = None
        self._response_buffer: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        """Start to serve, and close unless the head of a request arrives in time."""
        super().connection_made(transport)
        self._waiting_bytes = 0
        self._moved_at = self.worker.loop.time()
        self.worker.connections.add(self)
        if self.worker.nr_conns > self.worker.worker_connections:
            self._send_error_response(503, "", [("Retry-After", "1")])
            self._keepalive_timeout()
        else:
            self.worker.loop.call_later(FIRST_REQUEST_SECONDS, self._close_unless_used)

    def close_if_idle(self) -> None:
        """Close the connection if no request is being served on it."""
        if self._awaiting_request:
            self._keepalive_timeout()

    def drop_if_stalled(self, now: float) -> None:
        """End the connection if the client has long taken none of what waits for it.

        `now` is the loop's time. Also ends one that is closed but for its last bytes.
        """
        here = self.transport.get_write_buffer_size()
        if self._sending is not None:
            here += self._sending.left
        waiting = here + _bytes_in_kernel(self.transport) if here else 0
        if waiting == 0 or waiting != self._waiting_bytes:
            self._waiting_bytes = waiting
            self._moved_at = now
        elif now - self._moved_at >= STALLED_SECONDS:
            self.transport.abort()

    def pause_writing(self) -> None:
        """Note that bytes have moved, then wait for the client."""
        self._moved_at = self.worker.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that bytes have moved, then go on."""
        self._moved_at = self.worker.loop.time()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what is being sent."""
        if self._sending is not None:
            self._sending.stop()
        super().connection_lost(exc)

    def _build_http_scope(self, *arguments: Any) -> Any:
        """Offer to send files, where the socket takes bytes as they are."""
        scope = super()._build_http_scope(*arguments)
        if not self._is_ssl and scope["method"] != "HEAD":
            scope["extensions"] = {EXTENSION: {}}
        return scope

    async def _serve_http_request(self, *arguments: Any) -> bool:
        """Serve a request; return whether the connection is good for another one."""
        goes_on: bool = await super()._serve_http_request(*arguments)
        if not goes_on and self._answer is not None and self._answer.is_whole:
            # Gunicorn has not seen the bytes of the file and takes the answer for cut off.
            goes_on = not self._will_close(arguments[0], False)
        return goes_on

    async def _run_application(self, scope: Any, receive: Any, send: Any) -> None:
        self._answer = Answer(send, self._send_file)
        await self._application(scope, receive, self._answer.send)

    async def _send_file(self, file: int, offset: int, count: int) -> None:
        """Send a stretch of a file after everything that was written before."""
        head, self._response_buffer = self._response_buffer, None
        await self._write_through(head or b"")
        connection = self.transport.get_extra_info("socket").fileno()
        self._sending = FileSending(connection, file, offset, count)
        try:
            await self._sending.run(self.worker.sending_threads)
        except (ConnectionError, TimeoutError):
            self._close_transport()
            raise
        finally:
            self._sending = None

    async def _write_through(self, data: bytes) -> None:
        """Write, and wait until the kernel has it. Raises ConnectionResetError."""
        if not self._closed:
            self.transport.set_write_buffer_limits(high=0)
            self._safe_write(data)
            await self._flow_control.drain()
        if self._closed:
            raise ConnectionResetError("The connection was closed.")
        self.transport.set_write_buffer_limits(high=HIGH_WATER_LIMIT)

    def _close_unless_used(self) -> None:
        if self.req_count == 1:
            self.close_if_idle()

    def _send_error_response(
        self, status: int, _message: str, extra_headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Refuse in the envelope of both APIs what the application does not get to see."""
        phrase = HTTPStatus(status).phrase
        code, message = REFUSALS.get(status, ("UNKNOWN", phrase))
        body = json.dumps({"errors": [{"code": code, "message": message}]})
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in extra_headers),
            "Cache-Control: no-store",
            "Connection: close",
            "",
            body,
        ]
        self._safe_write("\r\n".join(lines).encode())


def _bytes_in_kernel(transport: Any) -> int:
    """Return how many bytes the client has not acknowledged.

    The kernel takes some megabytes and asks for more only when much of them has left, so that
    a slow client would look like one that stands still.
    """
    descriptor = transport.get_extra_info("socket").fileno()
    if descriptor < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Worker(ASGIWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """The process that serves connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make room for the connections."""
        super().__init__(*arguments, **options)
        self.sending_threads = ThreadPoolExecutor(SENDING_THREADS, "send-file")
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    async def _serve(self) -> None:
        """Serve, with connections of our kind."""
        create_server = self.loop.create_server

        async def create(_factory: Any, **options: Any) -> Any:
            return await create_server(lambda: Connection(self), **options)

        self.loop.create_server = create
        self._look_at_connections()
        await super()._serve()

    def _look_at_connections(self) -> None:
        now = self.loop.time()
        for connection in list(self.connections):
            connection.drop_if_stalled(now)
        self.loop.call_later(LOOK_SECONDS, self._look_at_connections)

    async def _shutdown(self) -> None:
        """Let requests finish; nobody waits for connections without one."""
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        await super()._shutdown()
