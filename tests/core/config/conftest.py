"""A server of one process, made of the worker's own connections."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from core.config.http_connection import Connection
from core.config.web_worker import Worker
from tests.core.config.visits import Application, Visit, Visitor


@pytest.fixture(params=["asyncio", "uvloop"])
def visit(request: pytest.FixtureRequest) -> Visit:
    """Give a function that runs a visit to a server of an application, on either event loop."""

    async def serve(application: Application, visitor: Visitor) -> None:
        loop = asyncio.get_running_loop()
        worker: Any = SimpleNamespace(
            asgi=application,
            loop=loop,
            connections=set(),
            nr_conns=0,
            worker_connections=2,
            alive=True,
            sending_threads=ThreadPoolExecutor(2),
        )
        worker._look_at_connections = lambda: Worker._look_at_connections(worker)
        worker._look_at_connections()
        server = await loop.create_server(lambda: Connection(worker), "127.0.0.1", 0)
        try:
            await asyncio.wait_for(visitor(worker, server.sockets[0].getsockname()[1]), 20)
        finally:
            server.close()
            for connection in list(worker.connections):
                connection.transport.abort()
            await asyncio.sleep(0.05)
            worker.sending_threads.shutdown()

    def run(application: Application, visitor: Visitor) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(application, visitor))

    return run
