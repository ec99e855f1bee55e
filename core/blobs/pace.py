"""A bound on how fast background work reads, shared by its threads."""

import threading
import time


class Pace:
    """Lets so many bytes pass per second, for any number of threads together."""

    def __init__(self, bytes_per_second: float | None) -> None:
        """Begin with nothing passed; None lets everything pass at once."""
        self._bytes_per_second = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def keep(self, passed_bytes: int) -> None:
        """Wait as long as it should have taken to read so many bytes."""
        if self._bytes_per_second is None:
            return
        with self._lock:
            begun_at = max(self._free_at, time.monotonic())
            self._free_at = begun_at + passed_bytes / self._bytes_per_second
            seconds = self._free_at - time.monotonic()
        time.sleep(max(0.0, seconds))
