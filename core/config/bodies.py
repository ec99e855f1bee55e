"""Request bodies of the Django side, taken in before a thread is spent on them.

A thread that waits for a slow client is lost to everybody else, and there are few
threads. So the event loop, which can wait for thousands at once, reads the whole body
within bounds, and Django is handed what is already there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

MAXIMUM_BYTES = 1 << 20
"""As many as core.api.parsers reads."""
DEADLINE_SECONDS = 30.0
"""For the whole body, however steadily it drips."""
SMALL_BYTES = 16 << 10
"""Up to here a body is always taken in; nearly all are smaller."""
TOGETHER_BYTES = 64 << 20
"""How much of larger bodies a process holds at a time: anybody may send one."""


class BodyRefused(Exception):
    """The body is not taken in; `status` and `message` are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClientGone(Exception):
    """The client left before its body was complete; there is nobody to answer."""


class BodyMemory:
    """Counts what large bodies hold together. For the thread of the event loop."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.held_bytes = 0

    @contextmanager
    def share(self) -> "Iterator[Share]":
        """Yield what one request may hold until the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            share.release()


class Share:
    """What one request holds of the memory until ``release``."""

    def __init__(self, memory: BodyMemory) -> None:
        """Begin with nothing."""
        self._memory = memory
        self._size = 0

    def grow(self, body_bytes: int) -> None:
        """Hold a body that has become so large. Raises BodyRefused (503)."""
        more = body_bytes - SMALL_BYTES - self._size
        if more <= 0:
            return
        if self._memory.held_bytes + more > TOGETHER_BYTES:
            raise BodyRefused(503, "Too many large bodies are under way. Try again later.")
        self._memory.held_bytes += more
        self._size += more

    def release(self) -> None:
        """Hold nothing any more."""
        self._memory.held_bytes -= self._size
        self._size = 0


async def whole_body(
    headers: Iterable[tuple[bytes, bytes]], receive: Receive, share: Share
) -> bytes:
    """Return the request body. Raises BodyRefused (408, 413 or 503) and ClientGone."""
    too_large = BodyRefused(413, f"The body is larger than {MAXIMUM_BYTES} bytes.")
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > MAXIMUM_BYTES:
            raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > MAXIMUM_BYTES:
                    raise too_large
                share.grow(size)
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise BodyRefused(
            408, f"The body did not arrive within {DEADLINE_SECONDS:.0f} seconds."
        ) from None


def buffered(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives `body` at once, and afterwards what the server says."""
    waiting = [body]

    async def receive_buffered() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_buffered
