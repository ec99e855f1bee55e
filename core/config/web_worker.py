"""Gunicorn's ASGI worker with bounds on connections that carry no request.

As it comes, the worker waits out its whole grace period for idle connections when
it stops, and lets a client hold a connection for ever without sending a request.
"""

import weakref
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

FIRST_REQUEST_SECONDS = 60.0


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn has no type hints
    """One connection, known to its worker."""

    def connection_made(self, transport: Any) -> None:
        """Start to serve, and close unless the head of a request arrives in time."""
        super().connection_made(transport)
        self.worker.connections.add(self)
        self.worker.loop.call_later(FIRST_REQUEST_SECONDS, self._close_unless_used)

    def close_if_idle(self) -> None:
        """Close the connection if no request is being served on it."""
        if self._awaiting_request:
            self._keepalive_timeout()

    def _close_unless_used(self) -> None:
        if self.req_count == 1:
            self.close_if_idle()


class Worker(ASGIWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """The process that serves connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make room for the connections."""
        super().__init__(*arguments, **options)
        self.connections: weakref.WeakSet[Connection] = weakref.WeakSet()

    async def _serve(self) -> None:
        """Serve, with connections of our kind."""
        create_server = self.loop.create_server

        async def create(_factory: Any, **options: Any) -> Any:
            return await create_server(lambda: Connection(self), **options)

        self.loop.create_server = create
        await super()._serve()

    async def _shutdown(self) -> None:
        """Let requests finish; nobody waits for connections without one."""
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.close_if_idle()
        await super()._shutdown()
