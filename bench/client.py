"""An own load client: keep-alive connections over raw sockets, one thread, little overhead.

Every connection has one request under way; its next one leaves as soon as the answer is
complete. Bodies are read into one buffer and thrown away. Answers other than 2xx end the
benchmark, because a server that refuses fast would look fast.
"""

import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from bench.errors import BenchmarkFailed

BUFFER_BYTES = 1 << 20
SILENCE_SECONDS = 30.0
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of requests came to."""

    requests: int
    received_bytes: int
    """Bodies only."""
    seconds: float
    latencies: Sequence[float]
    """Seconds from request to complete answer, in no particular order; empty if not measured."""

    @property
    def per_second(self) -> float:
        """Completed requests per second."""
        return self.requests / self.seconds


def request_bytes(
    method: str, host: str, path: str, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a request without a body as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode()


def drive(address: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> Load:
    """Send the requests in turn over so many new connections until the time is over.

    As ``Client.drive``. Raises BenchmarkFailed.
    """
    with Client(address, connections) as client:
        return client.drive(requests, seconds)


def fetch(address: str, request: bytes) -> Load:
    """Send one request and wait for the answer. Raises BenchmarkFailed."""
    return drive(address, [request], connections=1, seconds=0)


class Client:
    """Connections that stay open while they are driven again and again; close it at the end."""

    def __init__(self, address: str, connections: int) -> None:
        """Connect so many times."""
        self._address = address
        self._buffer = bytearray(BUFFER_BYTES)
        self._poll = select.epoll()
        self._opened: dict[int, _Connection] = {}
        try:
            for _ in range(connections):
                connection = _Connection(address)
                self._opened[connection.descriptor] = connection
                self._poll.register(connection.descriptor, select.EPOLLIN)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._poll.close()
        for connection in self._opened.values():
            connection.close()

    def drive(self, requests: Sequence[bytes], seconds: float) -> Load:
        """Send the requests in turn over all connections until the time is over.

        Requests under way at the end are waited for and counted, and the time until then too.
        Raises BenchmarkFailed.
        """
        latencies: list[float] = []
        received = count = 0
        began = time.perf_counter()
        until = began + seconds
        for connection in self._opened.values():
            connection.send(requests[count % len(requests)], time.perf_counter())
            count += 1
        under_way = len(self._opened)
        ended = began
        while under_way:
            events = self._poll.poll(SILENCE_SECONDS)
            if not events:
                message = f"{self._address} said nothing for {SILENCE_SECONDS:.0f} s."
                raise BenchmarkFailed(message)
            for descriptor, _event in events:
                connection = self._opened[descriptor]
                if not connection.receive(self._buffer):
                    continue
                ended = time.perf_counter()
                latencies.append(ended - connection.sent_at)
                received += connection.body_bytes
                if ended < until:
                    connection.send(requests[count % len(requests)], ended)
                    count += 1
                else:
                    under_way -= 1
        return Load(count, received, ended - began, latencies)


class _Connection:
    """One connection and the answer that is arriving on it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=SILENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self._socket.fileno()
        self.sent_at = 0.0
        self.body_bytes = 0
        self._is_head = False
        self._head: bytes | None = b""
        self._missing_bytes = 0

    def send(self, request: bytes, now: float) -> None:
        self.sent_at = now
        self.body_bytes = 0
        self._is_head = request.startswith(b"HEAD ")
        self._head = b""
        self._socket.sendall(request)

    def receive(self, buffer: bytearray) -> bool:
        """Take what has arrived; return True when the answer is complete."""
        length = self._socket.recv_into(buffer)
        if length == 0:
            raise BenchmarkFailed("The server closed a connection before it had answered.")
        if self._head is None:
            self._missing_bytes -= length
            return self._missing_bytes <= 0
        self._head += bytes(buffer[:length])
        end = self._head.find(_END_OF_HEAD)
        if end < 0:
            return False
        announced = body_length(self._head[: end + 2])
        self.body_bytes = 0 if self._is_head else announced
        self._missing_bytes = self.body_bytes - (len(self._head) - end - len(_END_OF_HEAD))
        self._head = None
        return self._missing_bytes <= 0

    def close(self) -> None:
        self._socket.close()


def body_length(head: bytes) -> int:
    """Return the length of the body that a response head announces.

    Raises BenchmarkFailed for an answer other than 2xx, or one without a length.
    """
    status, _, rest = head.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 2"):
        raise BenchmarkFailed(f"The server answered {status.decode(errors='replace')!r}.")
    lower = rest.lower()
    start = lower.find(b"content-length:")
    if start < 0:
        raise BenchmarkFailed("The server answered without a Content-Length.")
    return int(lower[start + 15 : lower.index(b"\r\n", start)])
