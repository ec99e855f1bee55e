"""The one ASGI application: registry protocol, health, and Django beside them.

``/v2`` and ``/service/token`` go to the registry application without passing
Django; the rest goes to Django in a bounded pool of threads, each request with its
body complete. Addresses and schemes that trusted proxies report are put in place
here, for both.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import WSGIApp
from django.utils.module_loading import import_string

from core.api.converters import decoded_path
from core.api.errors import envelope
from core.config import health
from core.config.bodies import (
    BodyMemory,
    BodyRefused,
    ClientGone,
    Message,
    Receive,
    buffered,
    whole_body,
)
from core.config.env import current
from core.config.forwarding import client_and_scheme
from core.config.wsgi import application as django_application

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

REGISTRY = "registry_api.app.application"
REGISTRY_ROOTS = ("/v2", "/service/token")


class Server:
    """Sends each request to the part of the product that it is for."""

    def __init__(self, registry: Application, *, with_django: bool) -> None:
        self._registry = registry
        self._with_django = with_django
        self._environment = current()
        self._django: Application | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._bodies = BodyMemory()
        self._answering: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and end of the process."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the pool of threads after the fork, then let the registry start and stop."""
        if self._with_django:
            middleware = WSGIMiddleware(
                cast("WSGIApp", django_application),
                workers=self._environment.server.management_threads,
            )
            self._threads = middleware.executor
            self._django = cast("Application", middleware)
        await self._registry(scope, receive, send)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        peer = scope["client"][0] if scope.get("client") else None
        trusted = self._environment.server.trusted_proxies
        if trusted:
            client, scheme = client_and_scheme(peer, scope["scheme"], scope["headers"], trusted)
            port = scope["client"][1] if client == peer and scope.get("client") else 0
            scope = {**scope, "scheme": scheme, "client": (client, port) if client else None}
        if _belongs_to_registry(path):
            await self._registry(scope, receive, send)
        elif path == "/livez":
            await _send_json(send, 200, {"status": "alive"})
        elif path == "/readyz":
            found = await health.faults()
            status = {"status": "unavailable" if found else "ready", "faults": found}
            await _send_json(send, 503 if found else 200, status)
        elif self._django is not None:
            await self._answer_from_django(self._django, scope, receive, send)
        else:
            await _send_json(send, 404, envelope(404, "not here"))

    async def _answer_from_django(
        self, django: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        with ExitStack() as stack:
            share = stack.enter_context(self._bodies.share())
            try:
                body = await whole_body(scope["headers"], receive, share)
            except BodyRefused as refusal:
                # What is left of the body is not read, so nothing can follow it.
                content = envelope(refusal.status, refusal.message)
                await _send_json(send, refusal.status, content, (b"connection", b"close"))
                return
            except ClientGone:
                return
            scope = {
                **scope,
                "path": decoded_path(scope["raw_path"]),
                "headers": with_length(with_one_cookie(scope["headers"]), len(body)),
            }
            answering = asyncio.ensure_future(django(scope, buffered(body, receive), send))
            held = stack.pop_all()
        answering.add_done_callback(lambda _: held.close())
        # A client that leaves may cancel this request, but not what carries the answer away from
        # Django's thread: the thread would wait for it for ever.
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        await asyncio.shield(answering)


def with_one_cookie(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Join the headers ``Cookie`` of a request into one, as no comma may do it.

    Some clients send several, and so may proxies in front of HTTP/2 (RFC 9113, 8.2.3).
    """
    cookies = [value for name, value in headers if name == b"cookie"]
    others = [(name, value) for name, value in headers if name != b"cookie"]
    return [*others, (b"cookie", b"; ".join(cookies))] if cookies else others


def with_length(headers: Sequence[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """Say how long the body is, which has come whole: Django reads nothing of one without a length.

    A request without a body that announced none stays as it is.
    """
    framing = {name for name, _ in headers} & {b"content-length", b"transfer-encoding"}
    others = [(name, value) for name, value in headers if name not in framing]
    return [*others, (b"content-length", str(length).encode())] if framing else others


def _belongs_to_registry(path: str) -> bool:
    return path.startswith(("/v2/", "/service/token/")) or path in REGISTRY_ROOTS


async def _send_json(
    send: Send, status: int, content: dict[str, Any], *more: tuple[bytes, bytes]
) -> None:
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


application = Server(import_string(REGISTRY), with_django=True)
registry_only = Server(import_string(REGISTRY), with_django=False)
