"""One connection of HTTP/1.1: its requests are answered one after another, in bounded time."""

import asyncio
import fcntl
import json
import socket
import sys
import termios
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import structlog

from core.config.file_sending import FileSending
from core.config.http_exchange import Exchange
from core.config.http_requests import Refused, Requests, Scope

HEAD_SECONDS: Final = 60.0
"""How long the head of a request may take to arrive."""
# Longer than the 60 seconds for which common proxies keep an idle connection.
KEEP_ALIVE_SECONDS: Final = 75.0
IDLE_BODY_SECONDS: Final = 300.0
"""How long a client may pause within a body."""
# A client that takes none of its answer for this long is not coming back for it.
STALLED_SECONDS: Final = 120.0
DISCONNECT_GRACE_SECONDS: Final = 3.0
"""How long an application may go on for a client who has left."""

QUEUED_REQUESTS: Final = 128
"""How many requests may come before the first of them is answered."""

WRITE_BUFFER_BYTES: Final = 65_536

LOCAL_BUFFER_BYTES: Final = 262_144
"""How much the kernel buffers for a client on the same machine, such as a proxy in front.

The other side then reads bytes that are still in the processor's cache. Left to itself, the kernel
buffers megabytes, which only a long way needs.
"""

# What the server itself refuses.
REFUSALS: Final = {
    400: ("BAD_REQUEST", "The request is not valid HTTP."),
    414: ("URI_TOO_LONG", "The path or the query is too long."),
    429: ("TOOMANYREQUESTS", "Too many requests wait on this connection."),
    431: ("HEADERS_TOO_LARGE", "The headers are too large."),
    500: ("UNKNOWN", "The server met an error; its log says more."),
    501: ("NOT_IMPLEMENTED", "The transfer coding is not supported."),
    503: ("UNAVAILABLE", "There are too many connections; try again."),
}

log = structlog.get_logger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Serving(Protocol):
    """What connections share: the process that serves them."""

    asgi: Application
    loop: asyncio.AbstractEventLoop
    connections: "set[Connection]"
    worker_connections: int
    nr_conns: int
    alive: bool
    sending_threads: Executor


class Connection(asyncio.Protocol):
    """Reads requests and has the application answer them in their order."""

    transport: asyncio.Transport

    def __init__(self, worker: Serving) -> None:
        """Belong to a worker process."""
        self._worker = worker
        self._loop = worker.loop
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[Exchange] = deque()
        self._refusal: Refused | None = None
        self._is_reading = True
        self._has_served = False
        self._drained: asyncio.Future[None] | None = None
        self._is_writing_paused = False
        self.is_lost = False
        self.sending: FileSending | None = None
        self._unsent_bytes = 0
        self._moved_at = self._received_at = self._waiting_since = self._loop.time()

    # --- The life of the connection ---------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve, unless there are too many already."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        server = _address(transport.get_extra_info("sockname"))
        client = _address(transport.get_extra_info("peername"))
        if client is not None and is_loopback(client[0]):
            to_client = transport.get_extra_info("socket")
            to_client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LOCAL_BUFFER_BYTES)
        self._requests = Requests(self.begin, server=server, client=client)
        worker = self._worker
        worker.connections.add(self)
        worker.nr_conns += 1
        if worker.nr_conns > worker.worker_connections:
            self._refuse(Refused(503))

    def connection_lost(self, _exception: Exception | None) -> None:
        """Tell the application, which may finish what cannot be left half done."""
        self._worker.connections.discard(self)
        self._worker.nr_conns -= 1
        self.is_lost = True
        self._queue.clear()
        if self.sending is not None:
            self.sending.stop()
        self._let_go_on()
        if self._current is not None:
            self._current.news()
            self._loop.call_later(DISCONNECT_GRACE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def close_if_idle(self) -> None:
        """Close the connection if no request is being served on it."""
        if self._current is None:
            self.transport.close()

    def look(self, now: float) -> None:
        """End the connection if its client has kept it waiting for too long (loop's time)."""
        if self._current is None:
            is_idle = self._has_served and not self._requests.has_begun
            bound = KEEP_ALIVE_SECONDS if is_idle else HEAD_SECONDS
            if now - self._waiting_since >= bound:
                self.transport.close()
        elif self._current.waits_for_body and now - self._received_at >= IDLE_BODY_SECONDS:
            self.transport.abort()
        self._drop_if_stalled(now)

    def _drop_if_stalled(self, now: float) -> None:
        """End the connection if the client has long taken none of what waits for it."""
        here = self.transport.get_write_buffer_size()
        if self.sending is not None:
            here += self.sending.left
        unsent = here + _bytes_in_kernel(self.transport) if here else 0
        if unsent == 0 or unsent != self._unsent_bytes:
            self._unsent_bytes = unsent
            self._moved_at = now
        elif now - self._moved_at >= STALLED_SECONDS:
            self.transport.abort()

    # --- Reading ----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._received_at = self._loop.time()
        if self._refusal is not None or self.transport.is_closing():
            return
        if not self._requests.has_begun:
            self._waiting_since = self._received_at
        try:
            self._requests.feed(data)
        except Refused as refused:
            self._refuse(refused)

    def eof_received(self) -> bool:
        """Tell whether the connection is still needed: a client may only have ended its sending.

        Whoever has sent a whole request gets the whole answer, and then the connection ends. To
        the server, a client that has left looks the same until an answer cannot reach it.
        """
        if self._current is None or self._requests.receiving is not None:
            return False
        last = self._queue[-1] if self._queue else self._current
        last.closes = True
        return not self.transport.is_closing()

    def begin(self, scope: Scope, *, keeps_alive: bool, expects_continue: bool) -> Exchange:
        """Serve a request whose head has come, after those before it."""
        exchange = Exchange(self, scope, keeps_alive=keeps_alive, expects_continue=expects_continue)
        if self._current is None:
            self._start(exchange)
        elif len(self._queue) >= QUEUED_REQUESTS:
            raise Refused(429)
        else:
            self._queue.append(exchange)
            self.pause_reading()
        return exchange

    def pause_reading(self) -> None:
        """Take no more bytes from the client for now."""
        if self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again, unless another request waits already."""
        if not self._is_reading and not self._queue and not self.is_lost:
            self._is_reading = True
            self.transport.resume_reading()

    # --- Serving ----------------------------------------------------------------

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._has_served = True
        self._task = self._loop.create_task(self._serve(exchange))

    async def _serve(self, exchange: Exchange) -> None:
        failure: Exception | None = None
        try:
            await self._worker.asgi(exchange.scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            self._current = self._task = None
            if not self.is_lost:
                self.transport.abort()
            raise
        except Exception as error:  # noqa: BLE001  # the edge of the process
            failure = error
        self._task = None
        self._finish(exchange, failure)

    def _finish(self, exchange: Exchange, failure: Exception | None) -> None:
        """Go on with the next request, or end the connection."""
        self._current = None
        has_left = self.is_lost or self.transport.is_closing()
        if failure is not None and not (has_left and isinstance(failure, OSError)):
            log.error("request_failed", path=exchange.scope["path"], exc_info=failure)
        if self.is_lost:
            return
        if exchange.is_answered and failure is None and self._may_go_on(exchange):
            if self._queue:
                self._start(self._queue.popleft())
            self.resume_reading()
            self._waiting_since = self._loop.time()
            return
        if not exchange.is_begun:
            # Also for a body that was broken: the application took its client for gone.
            self._send_refusal(self._refusal or Refused(500))
        self.transport.close()

    def _may_go_on(self, exchange: Exchange) -> bool:
        if exchange.closes or not exchange.is_received or self.transport.is_closing():
            return False
        if self.is_stopping:
            return False
        if self._refusal is None:
            return True
        if self._queue:
            return True
        self._send_refusal(self._refusal)
        return False

    def _refuse(self, refusal: Refused) -> None:
        """Say what is wrong once everything before it has been answered, then close."""
        self._refusal = refusal
        self.pause_reading()
        if self._requests.receiving is not None:
            self._requests.receiving.break_off()
        if self._current is None:
            self._send_refusal(refusal)
            self.transport.close()

    def _send_refusal(self, refusal: Refused) -> None:
        """Answer in the envelope of both APIs what the application does not get to see."""
        status = refusal.status
        code, message = REFUSALS[status]
        body = json.dumps({"errors": [{"code": code, "message": refusal.message or message}]})
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(["Retry-After: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
            "Cache-Control: no-store",
            "Connection: close",
            "",
            body,
        ]
        self.transport.write("\r\n".join(lines).encode())

    # --- Writing ----------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """Whether connections are to end with the request that they serve."""
        return not self._worker.alive

    def write(self, data: bytes) -> None:
        """Send bytes; see ``drained``."""
        if not self.is_lost:
            self.transport.write(data)

    async def drained(self) -> None:
        """Return when there is room for more bytes, or nobody to take them."""
        if self._is_writing_paused and not self.is_lost:
            self._drained = self._loop.create_future()
            await self._drained

    async def send_file(self, head: bytes, file: int, offset: int, count: int) -> None:
        """Send a stretch of a file after ``head`` and everything that was written before.

        Raises ConnectionError or TimeoutError when the client has left, EOFError when the file
        is too short, and OSError when it cannot be read.
        """
        await self._write_through(head)
        descriptor = self.transport.get_extra_info("socket").fileno()
        self.sending = FileSending(descriptor, file, offset, count)
        try:
            await self.sending.run(self._worker.sending_threads)
        except (ConnectionError, TimeoutError):
            self.transport.close()
            raise
        finally:
            self.sending = None

    async def _write_through(self, data: bytes) -> None:
        """Write, and wait until the kernel has it. Raises ConnectionResetError."""
        if not self.is_lost:
            self.transport.set_write_buffer_limits(high=0)
            self.transport.write(data)
            await self.drained()
        if self.is_lost:
            raise ConnectionResetError("The connection was closed.")
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def pause_writing(self) -> None:
        """Note that bytes have moved, then wait for the client."""
        self._moved_at = self._loop.time()
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """Note that bytes have moved, then go on."""
        self._moved_at = self._loop.time()
        self._is_writing_paused = False
        self._let_go_on()

    def _let_go_on(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


def is_loopback(address: str) -> bool:
    """Tell whether an IP address can only be of this machine."""
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"


def _address(name: Any) -> tuple[str, int] | None:
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _bytes_in_kernel(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has not acknowledged.

    The kernel takes some megabytes and asks for more only when much of them has left, so that
    a slow client would look like one that stands still.
    """
    descriptor = transport.get_extra_info("socket").fileno()
    if descriptor < 0:
        return 0
    return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
