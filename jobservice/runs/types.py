"""Plain values of runs and schedules."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID


class RunStatus(StrEnum):
    """Where a run stands. The last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a run. ``attempt`` fences it: a later claim ends this one."""

    run_id: UUID
    attempt: int
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredSchedule:
    """A schedule that comes with the product: ``kind`` every ``interval``."""

    name: str
    kind: str
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did: runs sent again, taken back from dead workers, given up, stopped."""

    sent: int
    reclaimed: int
    failed: int
    stopped: int
