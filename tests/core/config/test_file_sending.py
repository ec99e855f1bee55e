"""Files that the kernel sends: order, ends, and clients who leave, stall or take their time."""

import asyncio
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import file_sending, http_connection, web_worker
from core.config.file_sending import EXTENSION, FileSending
from core.config.http_connection import Connection
from tests.core.config.visits import Application, Visit, until

CONTENT = os.urandom(12 << 20)
REQUEST = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_REQUEST = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Part = bytes | tuple[int, int]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file larger than what kernels keep for a socket."""
    file = tmp_path_factory.mktemp("files") / "content"
    file.write_bytes(CONTENT)
    return file


def sends(
    path: Path, *parts: Part, length: int | None = None, announced: bool = True
) -> Application:
    """Return an application that answers with literal parts and stretches of a file.

    For ``/small`` it answers with a word.
    """

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        if scope["path"] == "/small":
            await send(start(5))
            await send({"type": "http.response.body", "body": b"small"})
            return
        total = sum(len(part) if isinstance(part, bytes) else part[1] for part in parts)
        await send(start((total if length is None else length) if announced else None))
        with path.open("rb") as file:
            for part in parts:
                message: dict[str, Any] = {"more_body": part is not parts[-1]}
                if isinstance(part, bytes):
                    message |= {"type": "http.response.body", "body": part}
                else:
                    message |= {"type": EXTENSION, "file": file}
                    message |= {"offset": part[0], "count": part[1]}
                await send(message)

    return application


def start(length: int | None) -> dict[str, Any]:
    """Return the first message of an answer."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def whole(path: Path) -> Application:
    """Return an application that answers with the file."""
    return sends(path, (0, len(CONTENT)))


async def body_of(reader: asyncio.StreamReader) -> bytes:
    """Return the body of one answer, as long as announced."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return await reader.readexactly(int(length))


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_answers_keep_their_order_on_one_connection(visit: Visit, path: Path) -> None:
    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((REQUEST % b"") + (REQUEST % b"small") + (REQUEST % b"") + REQUEST % b"small")
        for expected in (CONTENT, b"small", CONTENT, b"small"):
            assert await body_of(reader) == expected
        writer.write(LAST_REQUEST % b"")
        assert await body_of(reader) == CONTENT
        assert await reader.read() == b""
        writer.close()

    visit(whole(path), visitor)


def test_files_among_other_bytes(visit: Visit, path: Path) -> None:
    parts: list[Part] = [b"first " * 20_000, (5, 9 << 20), b"between", (0, 1), (7, 0), b"last"]

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(REQUEST % b"")
            assert await body_of(reader) == b"".join(
                part if isinstance(part, bytes) else CONTENT[part[0] : part[0] + part[1]]
                for part in parts
            )
        writer.close()

    visit(sends(path, *parts), visitor)


def test_a_file_that_shrinks_ends_the_connection(visit: Visit, tmp_path: Path) -> None:
    shrinking = tmp_path / "shrinking"
    shrinking.write_bytes(CONTENT)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        with silent_client(port) as client:
            await until(lambda: bytes_left(worker) not in (0, len(CONTENT)))
            os.truncate(shrinking, len(CONTENT) - 1)
            received = await everything(client)
        body = received.partition(b"\r\n\r\n")[2]
        assert body == CONTENT[:-1]
        assert worker.nr_conns == 0

    visit(whole(shrinking), visitor)


@pytest.mark.parametrize(
    ("length", "announced"), [(len(CONTENT) + 1, True), (len(CONTENT) - 1, True), (None, False)]
)
def test_a_length_that_does_not_fit_ends_the_connection(
    visit: Visit, path: Path, length: int | None, *, announced: bool
) -> None:
    application = sends(path, (0, len(CONTENT)), length=length, announced=announced)

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((REQUEST % b"") + (REQUEST % b"small"))
        received = await reader.read()
        assert received.count(b"HTTP/1.1 ") <= 1
        head, _, body = received.partition(b"\r\n\r\n")
        if length == len(CONTENT) + 1:
            assert body == CONTENT
        else:
            # Nothing had been sent yet.
            assert head.startswith(b"HTTP/1.1 500 ")
        writer.close()

    visit(application, visitor)


def test_clients_who_leave_cost_nothing(visit: Visit, path: Path) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        async def leave() -> None:
            with silent_client(port) as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_recv(client, 1000)
            await until(lambda: worker.nr_conns == 0)

        await leave()
        await asyncio.sleep(0.1)
        before, tasks = descriptors(), len(asyncio.all_tasks())
        for _ in range(300):
            await leave()
        await until(lambda: descriptors() <= before)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)

    visit(whole(path), visitor)


def test_a_client_that_takes_nothing_is_dropped(
    visit: Visit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "STALLED_SECONDS", 0.5)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        with silent_client(port):
            await until(lambda: bytes_left(worker) > 0)
            await until(lambda: worker.nr_conns == 0)

    visit(whole(path), visitor)


def test_slow_clients_hold_no_threads(
    visit: Visit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "STALLED_SECONDS", 0.5)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        loop = asyncio.get_running_loop()
        worker.worker_connections = 20
        clients = [silent_client(port) for _ in range(10)]
        for _ in range(15):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(LAST_REQUEST % b"")
            assert await body_of(reader) == CONTENT
            writer.close()
            for client in clients:
                client.setblocking(False)
                assert await loop.sock_recv(client, 50_000)
            await asyncio.sleep(0.05)
        assert worker.nr_conns >= len(clients)
        for client in clients:
            client.close()

    visit(whole(path), visitor)


def test_little_is_buffered_for_a_client_on_the_same_machine(visit: Visit, path: Path) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST % b"")
        assert await body_of(reader) == CONTENT
        [connection] = worker.connections
        kept = connection.transport.get_extra_info("socket")
        # The kernel doubles what it is told, for what it keeps beside the bytes.
        size = kept.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert size == 2 * http_connection.LOCAL_BUFFER_BYTES
        writer.close()

    visit(whole(path), visitor)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
def test_addresses_of_this_machine(address: str) -> None:
    assert http_connection.is_loopback(address)


@pytest.mark.parametrize(
    "address", ["10.127.0.1", "192.0.2.1", "::", "2001:db8::1", "::ffff:1.2.3.4"]
)
def test_addresses_of_others(address: str) -> None:
    assert not http_connection.is_loopback(address)


def test_a_thread_stops_when_the_transfer_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_sending, "QUICK_SECONDS", 10.0)

    def read_to_the_end(client: socket.socket) -> int:
        taken = 0
        while piece := client.recv(1 << 20):
            taken += len(piece)
        return taken

    async def cancelled() -> None:
        loop = asyncio.get_running_loop()
        client, server = socket.socketpair()
        server.setblocking(False)
        with ThreadPoolExecutor(1) as threads, path.open("rb") as file, client:
            sending = FileSending(server.fileno(), file.fileno(), 0, len(CONTENT))
            running = asyncio.ensure_future(sending.run(threads))
            await loop.run_in_executor(None, client.recv, 1, socket.MSG_PEEK)
            running.cancel()
            await asyncio.wait([running])
            server.close()
            # The thread waits for room, which there is from now on.
            assert await loop.run_in_executor(None, read_to_the_end, client) < len(CONTENT)

    asyncio.run(cancelled())


@pytest.mark.parametrize(("quick_seconds", "is_quick"), [(10.0, True), (0.001, False)])
def test_a_thread_waits_only_for_a_quick_client(
    path: Path, monkeypatch: pytest.MonkeyPatch, quick_seconds: float, *, is_quick: bool
) -> None:
    monkeypatch.setattr(file_sending, "QUICK_SECONDS", quick_seconds)
    hops: list[int] = []

    class Counting(FileSending):
        def _send(self, count: int) -> int:
            hops.append(super()._send(count))
            return hops[-1]

    def read_with_pauses(client: socket.socket, count: int) -> bytes:
        pieces: list[bytes] = []
        while left := count - sum(map(len, pieces)):
            pieces.append(client.recv(min(left, 1 << 17)))
            time.sleep(0.02)
        return b"".join(pieces)

    async def visited() -> None:
        loop, count = asyncio.get_running_loop(), 2 << 20
        client, server = socket.socketpair()
        server.setblocking(False)
        with ThreadPoolExecutor(1) as threads, path.open("rb") as file:
            reading = loop.run_in_executor(None, read_with_pauses, client, count)
            await Counting(server.fileno(), file.fileno(), 0, count).run(threads)
            assert await reading == CONTENT[:count]
        assert sum(hops) == count
        assert (len(hops) == 1) is is_quick
        client.close()
        server.close()

    asyncio.run(visited())


def test_a_stopping_worker_finishes_the_file(visit: Visit, path: Path) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        with silent_client(port) as client:
            await until(lambda: bytes_left(worker) > 0)
            worker.alive = False
            received = await everything(client)
        assert received.partition(b"\r\n\r\n")[2] == CONTENT
        await until(lambda: worker.nr_conns == 0)

    visit(whole(path), visitor)


@pytest.mark.parametrize(("method", "offered"), [("GET", True), ("HEAD", False)])
def test_the_extension_is_offered_where_it_works(
    visit: Visit, method: str, *, offered: bool
) -> None:
    async def application(scope: Any, _receive: Any, send: Any) -> None:
        assert (EXTENSION in scope.get("extensions", {})) is offered
        await send(start(0))
        await send({"type": "http.response.body"})

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    visit(application, visitor)


def test_a_thread_at_work_keeps_its_descriptors(path: Path) -> None:
    """Their numbers may mean another client's socket as soon as they are closed."""

    async def cancelled() -> None:
        client, server = socket.socketpair()
        server.setblocking(False)
        may_go_on = threading.Event()
        with ThreadPoolExecutor(1) as threads, path.open("rb") as file:
            threads.submit(may_go_on.wait)
            before = descriptors()
            sending = FileSending(server.fileno(), file.fileno(), 0, 1000)
            running = asyncio.ensure_future(sending.run(threads))
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
            assert descriptors() == before + 2
            may_go_on.set()
            await until(lambda: descriptors() == before)
        client.close()
        server.close()

    asyncio.run(cancelled())


def silent_client(port: int) -> socket.socket:
    """Return a connection that has asked for the file and takes few bytes by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(LAST_REQUEST % b"")
    return client


def bytes_left(worker: SimpleNamespace) -> int:
    """Return how many bytes of files the kernel has not taken yet."""
    connections: list[Connection] = list(worker.connections)
    return sum(each.sending.left for each in connections if each.sending is not None)


async def everything(client: socket.socket) -> bytes:
    """Return what arrives until the server closes."""
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    loop, pieces = asyncio.get_running_loop(), []
    while piece := await loop.sock_recv(client, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)
