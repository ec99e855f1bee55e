"""HTTP/1.1 as clients send it, rightly, wrongly, in pieces, and all at once."""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import http_connection, http_exchange, web_worker
from tests.core.config.visits import Application, Visit, until

HOST = b"Host: x\r\n"
CLOSE = b"Connection: close\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method, the target and the body."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    answer = [scope["method"], scope["path"], scope["query_string"].decode(), body.decode()]
    content = json.dumps(answer).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def answering(status: int, headers: Sequence[tuple[bytes, bytes]], *pieces: bytes) -> Application:
    """Return an application that answers with these pieces, without looking at the request."""

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return application


def answers_to(visit: Visit, application: Application, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Return all that a server sends to a client that sends these pieces, until it closes."""
    received = b""

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        received = await reader.read()
        writer.close()
        await until(lambda: not worker.connections)

    visit(application, visitor)
    return received


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave at once, without an orderly end."""
    without_delay = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, without_delay)
    writer.transport.abort()


def bodies(received: bytes) -> list[Any]:
    """Return what the echo saw, request by request, and the statuses of refusals."""
    found: list[Any] = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        content, received = json.loads(received[:length]), received[length:]
        found.append(content if isinstance(content, list) else int(head.split(b" ")[1]))
    return found


GET = b"GET /a HTTP/1.1\r\n" + HOST
A = ["GET", "/a", "", ""]


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /a%2Fb%20c?q=%2F&r HTTP/1.1\r\n" + HOST + CLOSE, [["GET", "/a/b c", "q=%2F&r", ""]]),
        (b"GET http://y/a?b HTTP/1.1\r\n" + HOST + CLOSE, [["GET", "/a", "b", ""]]),
        (b"GET http://y HTTP/1.1\r\n" + HOST + CLOSE, [["GET", "/", "", ""]]),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE, [["OPTIONS", "*", "", ""]]),
        (b"GET http://a:99999/ HTTP/1.1\r\n" + HOST, [400]),
        (b"GET http:///x HTTP/1.1\r\n" + HOST, [400]),
        (GET + HOST, [400]),
        (b"GET /a HTTP/1.1\r\n", [400]),
        (b"GET http://y/a HTTP/1.1\r\nX-Host: y\r\n", [400]),
        (b"GET /a HTTP/1.1\r\nHost:\r\n" + CLOSE, [A]),
        (b"GET /a HTTP/1.0\r\n", [A]),
        (GET + b"Content-Length: 0 \r\n" + CLOSE, [A]),
        (b"\r\n" + GET + CLOSE, [A]),
        (b"GET /a HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n", [A]),
        (b"GET /a HTTP/2.0\r\n" + HOST, [400]),
        (b"GET /a HTTP/0.9\r\n" + HOST, [400]),
        (b"GET /a\r\n", [400]),
        (b"CONNECT y:1 HTTP/1.1\r\n" + HOST, [400]),
        (b"BREW /a HTTP/1.1\r\n" + HOST, [400]),
        (b"GET /\x00 HTTP/1.1\r\n" + HOST, [400]),
        (GET + b"X : a\r\n", [400]),
        (GET + b"X: a\r\n b\r\n", [400]),
        (GET + b"X: a\x00\r\n", [400]),
        (GET + b"X: a\nY: b\r\n", [400]),
        (GET + b"Content-Length: +1\r\n", [400]),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n", [400]),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", [400]),
        (GET + b"Transfer-Encoding: gzip, chunked\r\n", [501]),
        (GET + b"Transfer-Encoding: chunked, identity\r\n", [400]),
        (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", [400]),
        (GET + b"X: y\r\n" * 101, [431]),
    ],
)
def test_heads(visit: Visit, request_bytes: bytes, expected: list[Any]) -> None:
    assert bodies(answers_to(visit, echo, request_bytes + b"\r\n")) == expected


def test_requests_that_come_at_once_are_answered_in_their_order(visit: Visit) -> None:
    together = (
        GET + b"\r\n" + b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        b"PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;x=y\r\nde\r\n1\r\nf\r\n0\r\nTrailer: z\r\n\r\n" + GET + CLOSE + b"\r\n"
    )
    expected = [A, ["POST", "/b", "", "abc"], ["PUT", "/c", "", "def"], A]
    assert bodies(answers_to(visit, echo, together)) == expected
    # However the network cuts it.
    pieces = [together[at : at + 7] for at in range(0, len(together), 7)]
    assert bodies(answers_to(visit, echo, *pieces, pause=0.001)) == expected


def test_what_cannot_be_understood_is_refused_after_what_can(visit: Visit) -> None:
    assert bodies(answers_to(visit, echo, GET + b"\r\n" + GET + b"\r\n" + b"<b>\r\n\r\n")) == [
        A,
        A,
        400,
    ]


def test_an_offer_of_another_protocol_is_passed_over(visit: Visit) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    with_body = b"POST /a HTTP/1.1\r\n" + HOST + upgrade + b"Content-Length: 3\r\n\r\nabc"
    received = answers_to(visit, echo, GET + upgrade + b"\r\n" + with_body + GET + CLOSE + b"\r\n")
    assert bodies(received) == [A, ["POST", "/a", "", "abc"], A]
    many = (GET + upgrade + b"\r\n") * 100 + GET + CLOSE + b"\r\n"
    assert bodies(answers_to(visit, echo, many)) == [A] * 101


def test_requests_that_wait_are_bounded(visit: Visit) -> None:
    received = bodies(answers_to(visit, echo, (GET + b"\r\n") * 1_000))
    assert received == [A] * (http_connection.QUEUED_REQUESTS + 1) + [429]


def test_a_broken_body_is_refused(visit: Visit) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert bodies(answers_to(visit, echo, head + b"2\r\nab\r\nzz\r\n")) == [400]


@pytest.mark.parametrize("flood", [b"0\r\nX: ", b"1;x="])
def test_what_surrounds_a_body_is_bounded(visit: Visit, flood: bytes) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    received = answers_to(visit, echo, head + flood, *[b"a" * 50_000] * 3, pause=0.02)
    assert bodies(received) == [431]


def test_permission_is_given_when_the_body_is_asked_for(visit: Visit) -> None:
    head = (
        b"POST /a HTTP/1.1\r\n"
        + HOST
        + b"Expect: 100-continue\r\nContent-Length: 1\r\n"
        + CLOSE
        + b"\r\n"
    )

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"a")
        assert bodies(await reader.read()) == [["POST", "/a", "", "a"]]
        writer.close()

    visit(echo, visitor)
    # Nobody has to send a body that is refused by its head.
    refused = answers_to(visit, answering(403, [(b"content-length", b"0")]), head)
    assert refused.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"\r\nconnection: close\r\n" in refused


def test_an_answer_before_the_end_of_the_body_ends_the_connection(visit: Visit) -> None:
    application = answering(403, [(b"content-length", b"0")])
    received = answers_to(
        visit, application, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
    )
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_body_waits_for_the_application(visit: Visit) -> None:
    total = 64 << 20
    may_go_on = asyncio.Event()
    sizes: list[int] = []

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        await may_go_on.wait()
        while True:
            message = await receive()
            sizes.append(len(message["body"]))
            if not message["more_body"]:
                break
        await answering(200, [(b"content-length", b"0")])(_scope, receive, send)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n".encode())
        writer.write(b"a" * total)
        await until(lambda: bool(worker.connections))
        connection = next(iter(worker.connections))
        await until(lambda: not connection._is_reading)
        assert connection._current._waiting_bytes < 2 * http_exchange.BODY_BUFFER_BYTES
        may_go_on.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    visit(application, visitor)
    assert sum(sizes) == total


@pytest.mark.parametrize(
    ("method", "status", "headers", "pieces", "head", "body"),
    [
        (
            "GET",
            200,
            [],
            [b"ab", b"", b"c"],
            b"transfer-encoding: chunked",
            b"2\r\nab\r\n1\r\nc\r\n0",
        ),
        ("GET", 204, [(b"content-length", b"3")], [b"abc"], b"204 No Content", b""),
        ("GET", 304, [(b"content-length", b"3")], [], b"content-length: 3", b""),
        ("HEAD", 200, [(b"content-length", b"3")], [b"abc"], b"content-length: 3", b""),
        ("GET", 507, [(b"content-length", b"0")], [], b"507 Insufficient Storage", b""),
        ("GET", 200, [(b"x", b"a\r\nSet-Cookie: b")], [], b"500 Internal Server Error", b"{"),
        ("GET", 200, [(b"transfer-encoding", b"chunked")], [], b"500 Internal Server Error", b"{"),
        ("GET", 200, [(b"content-length", b"2")], [b"abc"], b"500 Internal Server Error", b"{"),
        ("GET", 200, [(b"content-length", b"4")], [b"abc"], b"content-length: 4", b"abc"),
        (
            "GET",
            200,
            [(b"content-length", b"0"), (b"connection", b"close")],
            [],
            b"connection: close",
            b"",
        ),
    ],
)
def test_answers(
    visit: Visit,
    method: str,
    status: int,
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
    head: bytes,
    body: bytes,
) -> None:
    request = f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    received = answers_to(visit, answering(status, headers, *pieces), request)
    answered, _, content = received.partition(b"\r\n\r\n")
    assert head in answered
    assert b"\r\ndate: " in answered or status != 200 or b" 500 " in answered
    assert content.startswith(body)
    assert bool(content) is bool(body)


def test_an_application_that_fails_halfway_ends_the_connection(visit: Visit) -> None:
    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"6")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError

    received = answers_to(visit, application, GET + b"\r\n")
    assert received.endswith(b"\r\n\r\nabc")


def test_a_stopping_worker_announces_the_end(visit: Visit) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        worker.alive = False
        writer.write(GET + b"\r\n")
        received = await reader.read()
        assert b"\r\nconnection: close\r\n" in received
        assert bodies(received) == [A]
        writer.close()

    visit(echo, visitor)


def test_a_worker_that_stops_during_an_answer_ends_the_connection_behind_it(visit: Visit) -> None:
    may_end = asyncio.Event()

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await may_end.wait()
        await send({"type": "http.response.body", "body": b"b"})

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"a")
        worker.alive = False
        may_end.set()
        assert (await reader.read()).endswith(b"b")
        writer.close()

    visit(application, visitor)


def test_an_application_that_is_cancelled_ends_the_connection(visit: Visit) -> None:
    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        raise asyncio.CancelledError

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        await until(lambda: not worker.connections)

    visit(application, visitor)


def test_idle_clients_and_those_that_stop_in_a_body_are_let_go(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_worker, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(http_connection, "KEEP_ALIVE_SECONDS", 0.3)
    monkeypatch.setattr(http_connection, "IDLE_BODY_SECONDS", 0.3)

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        for request in (
            GET + b"\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            await reader.read()
            writer.close()
            await until(lambda: not worker.connections)

    visit(echo, visitor)


def test_an_application_is_told_of_a_client_that_leaves_and_ended_if_it_does_not_care(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "DISCONNECT_GRACE_SECONDS", 0.05)
    seen: list[str] = []

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async def visitor(_worker: SimpleNamespace, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        await until(lambda: len(seen) == 1)
        reset(writer)
        await until(lambda: len(seen) == 3)

    visit(application, visitor)
    assert seen == ["http.request", "http.disconnect", "ended"]


def test_a_client_that_sends_no_more_gets_its_whole_answer(visit: Visit) -> None:
    content = b"a" * (8 << 20)
    may_end = asyncio.Semaphore(1)

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["more_body"] is False
        await may_end.acquire()
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n" + GET + b"\r\n" + GET[:-4])
        writer.write_eof()
        reading = asyncio.create_task(reader.read())
        await until(lambda: bool(worker.connections))
        connection = next(iter(worker.connections))
        # Behind the first answer, which lets the end be read.
        await until(lambda: connection._current is not None and connection._current.closes)
        may_end.release()
        received = await reading
        assert received.count(content) == 2
        assert received.count(b"HTTP/1.1 200 OK") == 2
        assert received.count(b"\r\nconnection: close\r\n") == 1
        writer.close()
        await until(lambda: not worker.connections)

    visit(application, visitor)


@pytest.mark.parametrize("part", [b"", GET[:9], GET + b"Content-Length: 2\r\n\r\na"])
def test_a_client_that_sends_no_whole_request_gets_no_answer(visit: Visit, part: bytes) -> None:
    async def visitor(worker: SimpleNamespace, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(part)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await until(lambda: not worker.connections)

    visit(echo, visitor)


def test_a_client_that_leaves_before_its_answer_keeps_no_connection(visit: Visit) -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await may_end.wait()
        for _ in range(64):
            piece = b"a" * (1 << 20)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        ended.set()

    async def visitor(worker: SimpleNamespace, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        await writer.drain()
        writer.close()
        may_end.set()
        await ended.wait()
        await until(lambda: not worker.connections)

    visit(application, visitor)
