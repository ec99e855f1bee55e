"""The values an audit entry is made of."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.common.clock import now
from core.rbac.types import Actor


class Outcome(StrEnum):
    """How an audited action ended."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One action as it will be stored. ``action`` is ``<feature>.<object>.<past verb>``."""

    action: str
    actor: Actor
    target_kind: str
    target_label: str
    target_id: str = ""
    project_id: int | None = None
    project_name: str = ""
    outcome: Outcome = Outcome.SUCCESS
    detail: dict[str, Any] | None = None
    recorded_at: datetime = field(default_factory=now)
