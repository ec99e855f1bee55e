"""Connections that are too many, idle, malformed or never read from."""

import asyncio
import json
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import http_connection, web_worker
from tests.core.config.visits import Visit, until

LARGE_BYTES = 64 << 20


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    """Answer with the path, or with many bytes for ``/large``."""
    body = b"x" * LARGE_BYTES if scope["path"] == "/large" else scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for start in range(0, len(body), 1 << 20):
        piece = body[start : start + (1 << 20)]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and everything after it until the server closes."""
    whole = await reader.read()
    head, _, body = whole.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def test_connections_above_the_limit_are_refused(visit: Visit) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, body = await read_answer(reader)
        assert status == 503
        assert json.loads(body)["errors"][0]["code"] == "UNAVAILABLE"
        writer.close()
        for _reader, other in held:
            other.close()
        await until(lambda: worker.nr_conns == 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_answer(reader))[0] == 200
        writer.close()

    visit(answer, visitor)


def test_a_connection_without_a_request_is_closed(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.1)

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost:")
        assert await reader.read() == b""
        writer.close()

    visit(answer, visitor)


@pytest.mark.parametrize(
    ("request_bytes", "status", "code", "beginning"),
    [
        (
            b"GET /" + b"a" * 10_000 + b"?b HTTP/1.1\r\nHost: x\r\n\r\n",
            414,
            "URI_TOO_LONG",
            "The path is too long",
        ),
        (
            b"GET /a?" + b"b?" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            414,
            "URI_TOO_LONG",
            "The query is too long",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
            431,
            "HEADERS_TOO_LARGE",
            "The headers",
        ),
        (b"<secret>\r\n\r\n", 400, "BAD_REQUEST", "The request"),
        (b"GET /?x=\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BAD_REQUEST", "The request"),
    ],
)
def test_what_is_no_request_is_refused_in_the_envelope(
    visit: Visit, request_bytes: bytes, status: int, code: str, beginning: str
) -> None:
    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes)
        answered, body = await read_answer(reader)
        (error,) = json.loads(body)["errors"]
        assert (answered, error["code"]) == (status, code)
        assert error["message"].startswith(beginning)
        assert b"secret" not in body
        writer.close()

    visit(answer, visitor)


def small_window(port: int) -> socket.socket:
    """Return a connection whose client takes few bytes that it has not asked for."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return client


def test_a_client_that_reads_nothing_is_dropped(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "STALLED_SECONDS", 0.5)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        with small_window(port):
            await until(lambda: worker.nr_conns == 1)
            await until(lambda: worker.nr_conns == 0)

    visit(answer, visitor)


def test_a_client_that_reads_slowly_is_served(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "STALLED_SECONDS", 0.5)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 1.5
        with small_window(port) as client:
            client.setblocking(False)
            while loop.time() < deadline:
                assert await loop.sock_recv(client, 1 << 20)
                await asyncio.sleep(0.05)
            assert worker.nr_conns == 1

    visit(answer, visitor)
