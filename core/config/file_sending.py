"""Files on their way to a client without passing through Python.

The kernel copies from its page cache into the socket (sendfile). Such a call may wait for a disk,
so it belongs in a thread. There it stays while the client makes room at once; waiting for other
clients is left to the event loop, so any number of slow ones cost no thread but for a moment.
"""

import asyncio
import os
import select
from concurrent.futures import Executor
from typing import Final

EXTENSION: Final = "http.response.zerocopysend"
"""The ASGI extension, and the type of its message. Offset and count must be given."""

HOP_BYTES: Final = 4 << 20
"""How much a thread is asked to send before others have their turn."""

QUICK_SECONDS: Final = 0.001
"""How soon a client must make room for a thread to wait for it."""


class FileSending:
    """A stretch of a file on its way into a socket.

    Has descriptors of its own. A thread may still be at work when the server closes the
    connection or the application its file, and their numbers may by then mean another client
    or another file.
    """

    def __init__(self, connection: int, file: int, offset: int, count: int) -> None:
        """Prepare to send ``count`` bytes to the socket ``connection``, which must not block."""
        self.left = count
        """Bytes that the kernel has not taken yet."""
        self._offset = offset
        self._loop = asyncio.get_running_loop()
        self._is_stopped = False
        self._is_quick = True
        self._waiter: asyncio.Future[None] | None = None
        self._file = os.dup(file)
        try:
            self._socket = os.dup(connection)
        except OSError:
            os.close(self._file)
            raise
        self._room = select.poll()
        self._room.register(self._socket, select.POLLOUT)

    async def run(self, threads: Executor) -> None:
        """Return when the kernel has taken all bytes; to be called once.

        Raises ConnectionError or TimeoutError when the client has left, EOFError when the file
        is too short, and OSError when it cannot be read.
        """
        attempt: asyncio.Future[int] | None = None
        try:
            while self.left and not self._is_stopped:
                asked = min(self.left, HOP_BYTES)
                attempt = self._loop.run_in_executor(threads, self._send, asked)
                sent = await asyncio.shield(attempt)
                self._offset += sent
                self.left -= sent
                if sent < asked and not self._is_stopped:
                    await self._until_writable()
        finally:
            # A thread may still be at work for somebody who has given up.
            self._is_stopped = True
            if attempt is None or attempt.done():
                self._close()
            else:
                attempt.add_done_callback(lambda _attempt: self._close())
        if self.left:
            raise ConnectionResetError("The connection was closed.")

    def stop(self) -> None:
        """Give up, because the connection is no more."""
        self._is_stopped = True
        if self._waiter is not None:
            _wake(self._waiter)

    def _send(self, count: int) -> int:
        """Send up to ``count`` bytes, as many as the client takes at once. Runs in a thread."""
        sent, may_wait = 0, self._is_quick
        while sent < count and not self._is_stopped:
            try:
                taken = os.sendfile(self._socket, self._file, self._offset + sent, count - sent)
            except BlockingIOError:
                if not may_wait or not self._room.poll(QUICK_SECONDS * 1_000):
                    break
                # Again only after progress: the kernel may be short of memory for other reasons.
                may_wait = False
                continue
            if taken == 0:
                raise EOFError("The file is shorter than it was.")
            sent += taken
            may_wait = self._is_quick
        return sent

    async def _until_writable(self) -> None:
        began = self._loop.time()
        self._waiter = self._loop.create_future()
        self._loop.add_writer(self._socket, _wake, self._waiter)
        try:
            await self._waiter
        finally:
            self._loop.remove_writer(self._socket)
        self._is_quick = self._loop.time() - began < QUICK_SECONDS

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._socket)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
