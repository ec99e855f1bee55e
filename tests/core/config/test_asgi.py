"""Which part of the product gets a request, and what it learns of the client."""

import asyncio
import ipaddress
import json
import threading
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connection

from core.config import asgi, env

Message = MutableMapping[str, Any]


class Recorder:
    """Stands for the registry or for Django and keeps what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[MutableMapping[str, Any]] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer 204, or go through the life of a process."""
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})


def ask(server: asgi.Server, path: str, **scope: Any) -> tuple[int, bytes]:
    """Return status and body of the answer to a GET of `path`."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    whole = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "scheme": "http",
        "headers": [],
        "client": ("192.0.2.1", 4711),
        **scope,
    }
    asyncio.run(server(whole, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/", "/v2/a/b/manifests/latest", "/service/token", "/service/token/jwks"]
)
def test_the_registry_gets_its_paths(path: str) -> None:
    registry = Recorder()
    assert ask(asgi.Server(registry, with_django=False), path)[0] == 204
    assert registry.scopes[0]["path"] == path


@pytest.mark.parametrize("path", ["/", "/v20/", "/v2x", "/service/tokens", "/api/v2.0/users"])
def test_the_registry_gets_nothing_else(path: str) -> None:
    registry = Recorder()
    assert ask(asgi.Server(registry, with_django=False), path)[0] == 404
    assert registry.scopes == []


def test_the_client_behind_a_trusted_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = env.current()
    trusted = (ipaddress.ip_network("192.0.2.0/24"),)
    server = replace(environment.server, trusted_proxies=trusted)
    monkeypatch.setattr(asgi, "current", lambda: replace(environment, server=server))
    registry = Recorder()
    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https")]
    ask(asgi.Server(registry, with_django=False), "/v2/", headers=headers)
    assert registry.scopes[0]["client"] == ("203.0.113.9", 0)
    assert registry.scopes[0]["scheme"] == "https"


def test_the_client_behind_nobody() -> None:
    registry = Recorder()
    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https")]
    ask(asgi.Server(registry, with_django=False), "/v2/", headers=headers)
    assert registry.scopes[0]["client"] == ("192.0.2.1", 4711)
    assert registry.scopes[0]["scheme"] == "http"


def test_alive_without_a_database() -> None:
    status, body = ask(asgi.Server(Recorder(), with_django=False), "/livez")
    assert (status, json.loads(body)) == (200, {"status": "alive"})


def test_not_ready_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DatabaseError

    monkeypatch.setattr(type(connection), "cursor", property(lambda _self: refuse), raising=False)
    status, body = ask(asgi.Server(Recorder(), with_django=False), "/readyz")
    assert status == 503
    assert json.loads(body)["faults"] == ["the database does not answer"]


def test_a_client_that_leaves_costs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    has_ended = threading.Event()

    def export(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _ in range(100):
                yield b"row"
        finally:
            has_ended.set()

    async def leave() -> bool:
        stop, first = asyncio.Event(), asyncio.Event()

        async def live(*_: Any) -> None:
            await stop.wait()

        async def send(_message: Message) -> None:
            first.set()
            await asyncio.sleep(0.001)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        server = asgi.Server(live, with_django=True)
        living = asyncio.create_task(server({"type": "lifespan"}, receive, send))
        await asyncio.sleep(0)
        path = {"path": "/api/v2.0/x", "raw_path": b"/api/v2.0/x", "query_string": b""}
        scope = {"type": "http", "method": "GET", "headers": [], "http_version": "1.1"}
        request = asyncio.create_task(server({**scope, **path}, receive, send))
        await first.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        try:
            return await asyncio.to_thread(has_ended.wait, 30)
        finally:
            stop.set()
            await living

    monkeypatch.setattr(asgi, "django_application", export)
    assert asyncio.run(leave())
