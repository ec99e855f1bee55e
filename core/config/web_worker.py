"""The process that serves connections: gunicorn's ASGI worker with connections of our own.

Gunicorn starts, watches, reloads and ends the processes. Its own connection reads HTTP in Python
and knows neither files that the kernel sends nor clients that stand still; of many connections
that come at once, one of its processes may take all.
"""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from gunicorn.workers.gasgi import ASGIWorker

from core.config.http_connection import Connection
from core.config.listening import Listener

LOOK_SECONDS: Final = 10.0
"""How often clients are looked at who may have kept a connection for too long."""

SENDING_THREADS: Final = 16


class Worker(ASGIWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """The process that serves connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make room for the connections."""
        super().__init__(*arguments, **options)
        self.sending_threads = ThreadPoolExecutor(SENDING_THREADS, "send-file")
        self.connections: set[Connection] = set()

    async def _serve(self) -> None:
        """Serve, with connections of our kind, which the processes share out."""

        async def create(
            _factory: Any, *, sock: socket.socket, ssl: object, **_options: Any
        ) -> Listener:
            if ssl is not None:
                raise RuntimeError("TLS is for a proxy in front.")
            return Listener(self.loop, sock, lambda: Connection(self))

        self.loop.create_server = create
        self._look_at_connections()
        await super()._serve()

    def _look_at_connections(self) -> None:
        self.loop.call_later(LOOK_SECONDS, self._look_at_connections)
        now = self.loop.time()
        for connection in list(self.connections):
            connection.look(now)

    async def _shutdown(self) -> None:
        """Let requests finish; nobody waits for connections without one."""
        self.alive = False
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        await super()._shutdown()
