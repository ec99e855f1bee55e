"""Many clients that read a large blob very slowly, in a process of their own."""

import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from bench.errors import BenchmarkFailed

RECEIVE_BUFFER_BYTES = 8_192
"""Small, so that bytes wait at the server rather than in the kernel of the reader."""

INTERVAL_SECONDS = 0.2
START_SECONDS = 60.0


@dataclass(slots=True)
class SlowReaders:
    """What became of the readers; filled in when they have stopped."""

    still_reading: int = 0
    bytes_per_second: float = 0.0
    """Mean of each reader's."""


@contextmanager
def slow_readers(
    address: str, request: bytes, *, count: int, bytes_per_second: int
) -> Iterator[SlowReaders]:
    """Let so many clients read slowly, each on its own connection, until the block ends.

    The block begins when every one of them has got its first bytes. Raises BenchmarkFailed.
    """
    context = multiprocessing.get_context("spawn")
    reports, sender = context.Pipe(duplex=False)
    stop = context.Event()
    process = context.Process(
        target=_read, args=(address, request, count, bytes_per_second, sender, stop), daemon=True
    )
    process.start()
    sender.close()
    outcome = SlowReaders()
    try:
        _await_report(reports, "start")
        yield outcome
        stop.set()
        outcome.still_reading, outcome.bytes_per_second = _await_report(reports, "stop")
    finally:
        stop.set()
        process.join(10)
        if process.is_alive():
            process.kill()


def _await_report(reports: "Connection[None, tuple[int, float]]", word: str) -> tuple[int, float]:
    try:
        if reports.poll(START_SECONDS):
            return reports.recv()
    except EOFError:
        pass
    raise BenchmarkFailed(f"The slow readers did not {word}.")


def _read(
    address: str,
    request: bytes,
    count: int,
    bytes_per_second: int,
    reports: "Connection[tuple[int, float], None]",
    stop: Event,
) -> None:
    sockets = _connect(address, request, count)
    reports.send((len(sockets), 0.0))
    piece = int(bytes_per_second * INTERVAL_SECONDS)
    began = time.monotonic()
    received, due = 0, began
    while not stop.is_set():
        for reader in list(sockets):
            try:
                data = reader.recv(piece)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                received += len(data)
            else:
                sockets.remove(reader)
        due += INTERVAL_SECONDS
        stop.wait(max(0.0, due - time.monotonic()))
    reports.send((len(sockets), received / count / (time.monotonic() - began)))


def _connect(address: str, request: bytes, count: int) -> list[socket.socket]:
    """Open the connections and wait until each has something to read."""
    host, _, port = address.rpartition(":")
    sockets = []
    with selectors.DefaultSelector() as waiting:
        for _ in range(count):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            reader.settimeout(START_SECONDS)
            reader.connect((host, int(port)))
            reader.sendall(request)
            reader.setblocking(False)
            sockets.append(reader)
            waiting.register(reader, selectors.EVENT_READ)
        deadline = time.monotonic() + START_SECONDS
        while waiting.get_map() and time.monotonic() < deadline:
            for key, _events in waiting.select(1.0):
                waiting.unregister(key.fileobj)
    return sockets
