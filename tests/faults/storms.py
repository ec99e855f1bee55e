"""A script for the faulty proxy in front of a bucket: any request may fail, in any way."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.core.storage.s3_server import Fault, Script

WAYS = (
    ("answer", (500, "InternalError")),
    ("answer", (503, "SlowDown")),
    ("reset", None),
    ("answer_after_success", (500, "InternalError")),
    ("answer_after_success", (503, "SlowDown")),
    ("reset_after_success", None),
)
ONLY_COMPLETE = ("answer_after_success", (200, "InternalError"))
"""A good status with an error in its body; the reference of S3 has it for this one only."""


@dataclass
class Storm(Script):
    """Chooses faults at random, repeatably.

    `share` of all requests meet one, and the first of each operation always does.
    """

    share: float = 0.0
    seed: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Begin the sequence that belongs to the seed."""
        self._random = random.Random(self.seed)
        self._seen: set[str] = set()
        self._choosing = threading.Lock()

    def next_fault(self, operation: str) -> Fault | None:
        """Return a fault for this request, or none."""
        with self._choosing:
            is_first = self.share > 0 and operation not in self._seen
            if not is_first and self._random.random() >= self.share:
                return None
            self._seen.add(operation)
            ways = (*WAYS, ONLY_COMPLETE) if operation == "CompleteMultipartUpload" else WAYS
            action, argument = self._random.choice(ways)
            self.made[f"{operation} {action}"] += 1
        return Fault(operation, action, argument=argument)
