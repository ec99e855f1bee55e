"""Bursts of connections that several processes share, and processes without room for more."""

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import cast

import pytest
import structlog
import uvloop

from core.config import listening
from core.config.listening import Listener
from tests.core.config.visits import until


class Greeter(asyncio.Protocol):
    """Says its name to whoever comes."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, and end."""
        writing = cast(asyncio.WriteTransport, transport)
        writing.write(self._name)
        writing.close()


def run(work: Callable[[socket.socket, ExitStack], Awaitable[None]]) -> None:
    """Run the work with a listening socket and a stack for what it opens."""

    async def prepared() -> None:
        with ExitStack() as opened:
            heard = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
            await asyncio.wait_for(work(heard, opened), 20)

    uvloop.run(prepared())


def call(heard: socket.socket, opened: ExitStack) -> socket.socket:
    caller = opened.enter_context(socket.create_connection(heard.getsockname()))
    caller.setblocking(False)
    return caller


def test_a_burst_is_shared_out() -> None:
    async def work(heard: socket.socket, opened: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        callers = [call(heard, opened) for _ in range(64)]
        # Each process has a descriptor of its own.
        listeners = [
            Listener(loop, opened.enter_context(heard.dup()), partial(Greeter, name))
            for name in (b"a", b"b")
        ]
        greetings = [await loop.sock_recv(caller, 16) for caller in callers]
        assert (greetings.count(b"a"), greetings.count(b"b")) == (32, 32)
        for listener in listeners:
            listener.close()
            await listener.wait_closed()

    run(work)


def test_a_closed_listener_leaves_connections_to_others() -> None:
    async def work(heard: socket.socket, opened: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        closed = Listener(loop, heard, lambda: Greeter(b"closed"))
        closed.close()
        caller = call(heard, opened)
        await asyncio.sleep(0)
        other = Listener(loop, heard, lambda: Greeter(b"other"))
        assert await loop.sock_recv(caller, 16) == b"other"
        other.close()

    run(work)


def test_a_client_that_has_left_harms_nobody() -> None:
    async def work(heard: socket.socket, opened: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        gone = call(heard, opened)
        # Zero seconds of lingering: the connection is reset, not closed.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        caller = call(heard, opened)
        listener = Listener(loop, heard, lambda: Greeter(b"here"))
        assert await loop.sock_recv(caller, 16) == b"here"
        listener.close()

    run(work)


def test_a_process_without_room_takes_connections_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "PAUSE_SECONDS", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def work(heard: socket.socket, opened: ExitStack) -> None:
        loop = asyncio.get_running_loop()
        caller = call(heard, opened)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with structlog.testing.capture_logs() as logs:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            listener = Listener(loop, heard, lambda: Greeter(b"at last"))
            await until(lambda: len(logs) > 1)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert {entry["event"] for entry in logs} == {"connections_not_taken"}
        assert await loop.sock_recv(caller, 16) == b"at last"
        listener.close()

    run(work)
