"""Clients that take their time: half of a request, a few bytes a second, gone in the middle."""

import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tests.clients.protocol import Account

RECEIVE_BUFFER_BYTES = 8_192
"""Small, so that bytes wait at the server and not in the client's kernel."""


def connect(address: str) -> socket.socket:
    """Open a connection with a small buffer for what comes."""
    host, _, port = address.rpartition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.settimeout(30)
    connection.connect((host, int(port)))
    return connection


def head(
    method: str, path: str, account: Account, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: registry", *_lines(account)]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _lines(account: Account) -> list[str]:
    return [f"Authorization: {account.authorization}"]


def leave(connection: socket.socket, *, by_reset: bool) -> None:
    """Go away in the middle, with a reset or with an ordinary end."""
    if by_reset:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def status_of(connection: socket.socket) -> int:
    """Read the status of an answer; 0 when the server ended the connection instead."""
    try:
        line = connection.makefile("rb").readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


@dataclass
class _Reader:
    connection: socket.socket
    header: bytes = b""
    is_in_body: bool = False
    received: int = 0
    hash: object = field(default_factory=sha256)

    def take(self, data: bytes) -> None:
        if not self.is_in_body:
            self.header += data
            before, separator, data = self.header.partition(b"\r\n\r\n")
            if not separator:
                return
            assert before.startswith(b"HTTP/1.1 200 "), before
            self.is_in_body, self.header = True, b""
        self.received += len(data)
        self.hash.update(data)  # type: ignore[attr-defined]


class SlowReaders:
    """Many readers of one blob, moved forward by hand or hurried to the end."""

    def __init__(self, address: str, request: bytes, count: int) -> None:
        """Open so many connections and send the request on each."""
        self._readers = [_Reader(connect(address)) for _ in range(count)]
        for reader in self._readers:
            reader.connection.sendall(request)
            reader.connection.setblocking(False)

    def read_slowly(self, *, seconds: float, bytes_per_second: int) -> None:
        """Let each reader take so many bytes a second."""
        until = time.monotonic() + seconds
        step = 0.1
        while time.monotonic() < until:
            for reader in self._readers:
                self._read(reader, int(bytes_per_second * step))
            time.sleep(step)

    def read_to_the_end(self, size: int, timeout: float = 120.0) -> Sequence[str]:
        """Take everything now; return the digest of what each reader got."""
        deadline = time.monotonic() + timeout
        waiting = selectors.DefaultSelector()
        for reader in self._readers:
            waiting.register(reader.connection, selectors.EVENT_READ, reader)
        while waiting.get_map():
            assert time.monotonic() < deadline, "the readers do not get their bytes"
            for key, _events in waiting.select(1.0):
                self._read(key.data, 1 << 20)
                if key.data.received >= size:
                    waiting.unregister(key.fileobj)
        waiting.close()
        return [f"sha256:{reader.hash.hexdigest()}" for reader in self._readers]  # type: ignore[attr-defined]

    def close(self) -> None:
        """End all connections."""
        for reader in self._readers:
            reader.connection.close()

    @staticmethod
    def _read(reader: _Reader, size: int) -> None:
        try:
            data = reader.connection.recv(size)
        except BlockingIOError:
            return
        assert data, f"the server ended a slow answer after {reader.received} bytes"
        reader.take(data)
