"""Request bodies of the Django side: complete before a thread is spent, bounded, timed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

import pytest

from core.api.parsers import MAXIMUM_BODY_BYTES
from core.config import asgi, bodies
from core.config.bodies import BodyMemory, BodyRefused, ClientGone, buffered

pytestmark = pytest.mark.pure

Message = MutableMapping[str, Any]
LEFT = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> Message:
    """Return a message with a piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def sending(*messages: Message) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that gives the messages, then waits for ever."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def run(work: Coroutine[Any, Any, bytes]) -> bytes:
    """Return what the coroutine returns."""
    return asyncio.run(work)


async def whole_body(
    headers: list[tuple[bytes, bytes]],
    receive: Callable[[], Awaitable[Message]],
    memory: BodyMemory | None = None,
) -> bytes:
    """Take in a body, with all memory to itself unless some is given."""
    with (memory or BodyMemory()).share() as share:
        return await bodies.whole_body(headers, receive, share)


def test_the_limit_is_that_of_the_parser() -> None:
    assert bodies.MAXIMUM_BYTES == MAXIMUM_BODY_BYTES


def test_a_body_in_pieces() -> None:
    receive = sending(part(b"ab", more=True), part(b"", more=True), part(b"c", more=False))
    assert run(whole_body([], receive)) == b"abc"


def test_a_body_of_exactly_the_limit() -> None:
    body = b"x" * bodies.MAXIMUM_BYTES
    headers = [(b"content-length", str(len(body)).encode())]
    assert run(whole_body(headers, sending(part(body, more=False)))) == body


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    headers = [(b"content-length", str(bodies.MAXIMUM_BYTES + 1).encode())]
    with pytest.raises(BodyRefused) as caught:
        run(whole_body(headers, sending()))
    assert caught.value.status == 413


def test_a_body_that_turns_out_too_large() -> None:
    half = part(b"x" * (bodies.MAXIMUM_BYTES // 2 + 1), more=True)
    with pytest.raises(BodyRefused) as caught:
        run(whole_body([], sending(half, half)))
    assert caught.value.status == 413


def test_a_body_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DEADLINE_SECONDS", 0.1)

    async def drip() -> Message:
        await asyncio.sleep(0.02)
        return part(b"x", more=True)

    with pytest.raises(BodyRefused) as caught:
        run(whole_body([], drip))
    assert caught.value.status == 408


def test_large_bodies_are_bounded_together_and_small_ones_are_not() -> None:
    memory = BodyMemory()
    large, small = b"x" * bodies.MAXIMUM_BYTES, b"x" * bodies.SMALL_BYTES

    def take(body: bytes) -> bytes:
        return run(whole_body([], sending(part(body, more=False)), memory))

    memory.held_bytes = bodies.TOGETHER_BYTES - len(large) + len(small)
    assert take(large) == large
    memory.held_bytes += 1
    with pytest.raises(BodyRefused) as caught:
        take(large)
    assert caught.value.status == 503
    assert take(small) == small
    assert memory.held_bytes == bodies.TOGETHER_BYTES - len(large) + len(small) + 1


def test_a_body_is_held_until_it_is_answered() -> None:
    held: list[int] = []

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        held.append(server._bodies.held_bytes)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = asgi.Server(Django(), with_django=True)
    ask(server, answer, part(b"x" * (bodies.SMALL_BYTES + 7), more=False))
    assert (held, server._bodies.held_bytes) == ([7], 0)


def test_a_client_that_leaves() -> None:
    with pytest.raises(ClientGone):
        run(whole_body([], sending(part(b"ab", more=True), LEFT)))


def test_what_was_read_is_given_once_then_the_server_is_asked() -> None:
    async def receive_twice() -> list[Message]:
        receive = buffered(b"abc", sending(LEFT))
        return [await receive(), await receive()]

    assert asyncio.run(receive_twice()) == [part(b"abc", more=False), LEFT]


class Django:
    """Stands for Django and keeps the bodies it was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """Answer 204."""
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def post(django: Django, *messages: Message, **headers: str) -> list[Message]:
    """Return what the server sends for a request to the management API."""
    return ask(asgi.Server(django, with_django=True), django, *messages, **headers)


def ask(server: asgi.Server, django: Any, *messages: Message, **headers: str) -> list[Message]:
    """Return what a server sends for it, with something that stands for Django."""
    server._django = django
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v2.0/projects",
        "raw_path": b"/api/v2.0/projects",
        "scheme": "http",
        "query_string": b"",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": ("192.0.2.1", 4711),
    }
    asyncio.run(server(scope, sending(*messages), send))
    return sent


def test_django_gets_a_complete_body() -> None:
    django = Django()
    sent = post(django, part(b"{", more=True), part(b"}", more=False))
    assert (sent[0]["status"], django.bodies) == (204, [b"{}"])


@pytest.mark.parametrize(("length", "status"), [("2000000", 413), ("10", 408)])
def test_django_is_not_asked_about_a_refused_body(
    monkeypatch: pytest.MonkeyPatch, length: str, status: int
) -> None:
    monkeypatch.setattr(bodies, "DEADLINE_SECONDS", 0.05)
    django = Django()
    sent = post(django, part(b"{", more=True), content_length=length)
    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]
    assert set(json.loads(sent[1]["body"])["errors"][0]) == {"code", "message"}
    assert django.bodies == []


def test_nobody_is_answered_who_has_left() -> None:
    django = Django()
    assert post(django, part(b"{", more=True), LEFT) == []
    assert django.bodies == []
