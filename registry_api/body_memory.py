"""How much of the bodies under way a process keeps in memory, all of them together.

A disk that falls behind would otherwise have every connection fill a buffer of its own. While
the memory is taken, no further piece of any body is read: its client waits, as the network has
it wait. Whoever holds bytes already goes on to write them, so that nobody waits for another.
"""

import asyncio
from collections import deque
from typing import Final

LIMIT_BYTES: Final = 64 << 20
"""From here on nothing is read; pieces that were asked for before may come on top."""

_PIECE_BYTES: Final = 256 << 10
"""What a body that goes on is expected to bring."""

_LOOK_AGAIN_SECONDS: Final = 0.25


class BodyMemory:
    """Counts bytes. For the thread of the event loop."""

    def __init__(self, limit_bytes: int) -> None:
        """Begin with nothing held."""
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be read."""
        return self.held_bytes >= self.limit_bytes

    async def wait_for_room(self) -> None:
        """Return when the memory is not full, in the order of asking as far as it goes."""
        while self.is_full:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            # Those whose turn it was may have brought nothing, and then wake nobody.
            await asyncio.wait((turn,), timeout=_LOOK_AGAIN_SECONDS)
            turn.cancel()

    def take(self, size: int) -> None:
        """Count bytes that have come."""
        self.held_bytes += size

    def give_back(self, size: int) -> None:
        """Forget bytes, and let as many bodies go on as there is room for."""
        self.held_bytes -= size
        room = self.limit_bytes - self.held_bytes
        while self._waiting and room > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= _PIECE_BYTES


class Holding:
    """What one request holds of the memory; ``release`` must end it."""

    def __init__(self, memory: BodyMemory) -> None:
        """Begin with nothing."""
        self._memory = memory
        self._size = 0

    @property
    def must_write(self) -> bool:
        """Whether what is held is to be written rather than added to."""
        return self._size > 0 and self._memory.is_full

    async def wait_for_room(self) -> None:
        """Wait until a piece may be read; only for who holds nothing."""
        if self._memory.is_full:
            await self._memory.wait_for_room()

    def take(self, size: int) -> None:
        """Hold another piece."""
        self._size += size
        self._memory.take(size)

    def give_back(self, size: int) -> None:
        """Let go of bytes that were written, unless all is released already."""
        size = min(size, self._size)
        self._size -= size
        self._memory.give_back(size)

    def release(self) -> None:
        """Let go of everything. May be repeated."""
        self.give_back(self._size)


BODIES: Final = BodyMemory(LIMIT_BYTES)
