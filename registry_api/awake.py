"""Event loops that stay awake for what is about to come.

A process that sleeps has to be woken, and finds the processor's caches cold: where what it waits
for comes within a fraction of a millisecond, that takes longer than the waiting.
"""

import asyncio
import os
from time import perf_counter
from typing import Final

AWAKE_SECONDS: Final = 0.0003
"""How long an event loop stays awake at a time."""

# On one processor it would keep from working whoever it waits for.
_CAN_STAY_AWAKE: Final = len(os.sched_getaffinity(0)) > 1


class Awake:
    """Keeps an event loop awake while it waits for one thing, unless that came late last time."""

    def __init__(self) -> None:
        self._comes_soon = True
        # The event loop's own clock tells milliseconds.
        self._since = self._until = 0.0

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait from now on."""
        self._since = perf_counter()
        if self._comes_soon and _CAN_STAY_AWAKE:
            self._until = self._since + AWAKE_SECONDS
            loop.call_soon(self._stay, loop)

    def end(self) -> None:
        """Wait no longer: it has come."""
        self._until = 0.0
        self._comes_soon = perf_counter() - self._since < AWAKE_SECONDS

    def _stay(self, loop: asyncio.AbstractEventLoop) -> None:
        if perf_counter() < self._until:
            loop.call_soon(self._stay, loop)
