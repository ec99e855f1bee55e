"""A bounded table of what this process has seen within the last minute."""

import threading
import time
from collections import OrderedDict


class RecentKeys:
    """Keys with an end, shared by the threads of a process; the oldest fall out first."""

    def __init__(self, *, seconds: float, maximum: int) -> None:
        self._seconds = seconds
        self._maximum = maximum
        self._guard = threading.Lock()
        self._forget_at: OrderedDict[bytes, float] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        with self._guard:
            forget_at = self._forget_at.get(key)
        return forget_at is not None and time.monotonic() < forget_at

    def add(self, key: bytes) -> bool:
        """Keep the key from now on; returns whether it was not there."""
        now = time.monotonic()
        with self._guard:
            forget_at = self._forget_at.pop(key, now)
            self._forget_at[key] = now + self._seconds
            while len(self._forget_at) > self._maximum:
                self._forget_at.popitem(last=False)
        return forget_at <= now

    def clear(self) -> None:
        """Forget everything."""
        with self._guard:
            self._forget_at.clear()
