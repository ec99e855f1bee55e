"""Taking connections from a socket that several processes listen on."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

import structlog

PAUSE_SECONDS: Final = 0.1
"""How long no connection is taken when the process, or the machine, has no room for one."""

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What Linux hands on of a connection that failed on its way here (accept(2)).
_FAILED: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EINTR,
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
    }
)

log = structlog.get_logger(__name__)


class Listener:
    """Takes one connection in each turn of the event loop.

    A loop that empties the queue of the socket at once leaves nothing to its neighbours: of a
    burst of connections, which clients then keep for long, one process would serve all.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        """Begin to take connections; the socket stays the caller's."""
        self._loop = loop
        self._listening = listening
        self._make_protocol = make_protocol
        self._is_open = True
        self._beginning: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Take no more connections."""
        self._is_open = False
        self._loop.remove_reader(self._listening)

    async def wait_closed(self) -> None:
        """Wait until the connections that have been taken are being served."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _watch(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listening, self._take_one)

    def _take_one(self) -> None:
        try:
            taken, _address = self._listening.accept()
        except OSError as error:
            if error.errno in _FAILED:
                # Another process was quicker, or the client has left.
                return
            if error.errno not in _NO_ROOM:
                raise
            log.warning("connections_not_taken", reason=str(error))
            self._loop.remove_reader(self._listening)
            self._loop.call_later(PAUSE_SECONDS, self._watch)
            return
        taken.setblocking(False)
        task = self._loop.create_task(self._begin(taken))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, taken)
        except OSError:
            # The client has left already.
            taken.close()
