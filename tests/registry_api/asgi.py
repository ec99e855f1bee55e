"""Speaks to the ASGI application in this process, byte for byte as a server would.

Requests run on one event loop in a thread of its own, so that tests may send any number of
them at once from their own threads, break them off, and use paths no HTTP library lets pass.
"""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

from registry_api.streaming import SEND_FILE

HOST = "registry.test:5000"
CLIENT_ADDRESS = "192.0.2.10"
SENDS_FILES = {"extensions": {SEND_FILE: {}}}
"""Part of the scope of a server that sends files by itself."""


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    all_headers: Sequence[tuple[str, str]]
    received: int
    """How many bytes of the body the application took."""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The codes of the error envelope."""
        assert self.headers["content-type"] == "application/json"
        return [error["code"] for error in self.json()["errors"]]


@dataclass
class Exchange:
    """One request while it runs: hands over body pieces and gathers the response."""

    pieces: list[bytes]
    leaves_early: bool = False
    leaves_after_bytes: int | None = None
    fails_to_send_file: type[Exception] | None = None
    pauses: Callable[[int], None] | None = None
    received: int = 0
    sent: list[Message] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    position: int = 0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> Message:
        if self.position < len(self.pieces):
            piece = self.pieces[self.position]
            if self.pauses is not None:
                await asyncio.to_thread(self.pauses, self.position)
            self.position += 1
            self.received += len(piece)
            is_last = self.position == len(self.pieces) and not self.leaves_early
            return {"type": "http.request", "body": piece, "more_body": not is_last}
        if self.leaves_early:
            return {"type": "http.disconnect"}
        if not self.pieces and self.position == 0:
            self.position = 1
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == SEND_FILE:
            if self.fails_to_send_file is not None:
                raise self.fails_to_send_file
            file, offset, count = message["file"], message["offset"], message["count"]
            self.body += os.pread(file.fileno(), count, offset)
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if self.leaves_after_bytes is not None and len(self.body) >= self.leaves_after_bytes:
                self.is_over.set()
            # Lets whoever watches for the client's leaving notice it.
            await asyncio.sleep(0)


class Server:
    """An event loop that serves one application."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def request(
        self,
        method: str,
        path: str | bytes,
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
        exchange: Exchange | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one request. A body of several pieces goes out chunked."""
        fields = list(headers.items() if isinstance(headers, Mapping) else headers)
        names = {name.lower() for name, _ in fields}
        if isinstance(body, bytes):
            if "content-length" not in names:
                fields.append(("content-length", str(len(body))))
            pieces = [body] if body else []
        else:
            pieces = list(body or ())
            if body is not None and "content-length" not in names:
                fields.append(("transfer-encoding", "chunked"))
        if "host" not in names:
            fields.append(("host", HOST))
        exchange = exchange or Exchange([])
        if body is not None:
            exchange.pieces = pieces or ([b""] if not isinstance(body, bytes) else [])
        coroutine = self._serve(method, path, fields, exchange, scope or {})
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    async def _serve(
        self,
        method: str,
        path: str | bytes,
        fields: Sequence[tuple[str, str]],
        exchange: Exchange,
        extra_scope: Mapping[str, Any],
    ) -> Answer:
        raw = path.encode() if isinstance(path, str) else path
        raw_path, _, query = raw.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": raw_path.decode("latin-1"),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in fields],
            "client": (CLIENT_ADDRESS, 40000),
            "server": ("127.0.0.1", 5000),
            **extra_scope,
        }
        try:
            await self.application(scope, exchange.receive, exchange.send)
        finally:
            exchange.is_over.set()
        return _answer(exchange)

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function on the event loop and return its result."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(timeout=60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


def _answer(exchange: Exchange) -> Answer:
    starts = [m for m in exchange.sent if m["type"] == "http.response.start"]
    if not starts:
        return Answer(0, {}, b"", (), exchange.received)
    assert len(starts) == 1, "the response was started more than once"
    listed = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in starts[0]["headers"]]
    return Answer(
        starts[0]["status"],
        {name.lower(): value for name, value in listed},
        bytes(exchange.body),
        listed,
        exchange.received,
    )
