"""A script for the faulty proxy in front of a bucket: any request may fail, in any way."""

import random
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.core.storage.s3_server import Fault, Script

HOLD_SECONDS = 60.0

Ways = dict[str, tuple[str, object]]

WAYS: Ways = {
    "500": ("answer", (500, "InternalError")),
    "500 after success": ("answer_after_success", (500, "InternalError")),
    "slow down": ("answer", (503, "SlowDown")),
    "slow down after success": ("answer_after_success", (503, "SlowDown")),
    "reset": ("reset", None),
    "reset after success": ("reset_after_success", None),
    # Then the connection ends; the time that the server would wait is a minute.
    "silence after success": ("silent_after_success", 0.5),
}
COMPLETE = "CompleteMultipartUpload"
ONLY_COMPLETE: Ways = {
    "200 with an error after success": ("answer_after_success", (200, "InternalError")),
    "200 with an error": ("answer", (200, "InternalError")),
}
"""A good status with an error in its body; the reference of S3 has it for this one only."""


def ways_of(operation: str) -> Ways:
    """Return how an operation may fail, by name."""
    return WAYS | ONLY_COMPLETE if operation == COMPLETE else WAYS


@dataclass
class Storm(Script):
    """Makes faults in a fixed order for each operation.

    Every second request meets one until the operation has failed in every way, and every one to
    complete an upload, of which there are few; what has succeeded is not asked for again. Then a
    random `share` of all requests does, repeatably.
    """

    share: float = 0.0
    seed: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Begin the sequence that belongs to the seed."""
        self._random = random.Random(self.seed)
        self._asked: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._choosing = threading.Lock()
        self._to_hold: str | None = None
        self._holds = threading.Event()
        self._lets_go = threading.Event()

    def next_fault(self, operation: str) -> Fault | None:
        """Return a fault for this request, or none."""
        with self._choosing:
            is_held = operation == self._to_hold
            if is_held:
                self._to_hold = None
        if is_held:
            self._holds.set()
            self._lets_go.wait(HOLD_SECONDS)
        with self._choosing:
            return self._choose(operation) if self.share > 0 else None

    def _choose(self, operation: str) -> Fault | None:
        ways = ways_of(operation)
        turn = self._failed[operation]
        self._asked[operation] += 1
        is_due = turn < len(ways) and (self._asked[operation] % 2 == 1 or operation == COMPLETE)
        if not is_due and self._random.random() >= self.share:
            return None
        self._failed[operation] += 1
        name, (action, argument) = list(ways.items())[turn % len(ways)]
        self.made[f"{operation}: {name}"] += 1
        return Fault(operation, action, argument=argument)

    def missing(self, operations: Collection[str]) -> set[str]:
        """Return the ways in which the operations have not failed yet."""
        wanted = {f"{each}: {name}" for each in operations for name in ways_of(each)}
        return wanted - set(self.made)

    @contextmanager
    def holding(self, operation: str) -> Iterator[None]:
        """Enter the block when the next such request has come; it is held until the end."""
        self._holds.clear()
        self._lets_go.clear()
        with self._choosing:
            self._to_hold = operation
        try:
            assert self._holds.wait(HOLD_SECONDS), f"no {operation} has come"
            yield
        finally:
            with self._choosing:
                self._to_hold = None
            self._lets_go.set()
