"""Writing audit entries."""

from collections.abc import Sequence
from typing import Any

from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.rbac.types import Actor

MAXIMUM_USER_AGENT = 512
MAXIMUM_LABEL = 1024


def record(
    action: str,
    actor: Actor,
    *,
    target_kind: str,
    target_label: str,
    target_id: int | str = "",
    project_id: int | None = None,
    project_name: str = "",
    outcome: Outcome = Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one entry in the current transaction, so it stands or falls with the change."""
    write(
        [
            AuditRecord(
                action=action,
                actor=actor,
                target_kind=target_kind,
                target_label=target_label,
                target_id=str(target_id),
                project_id=project_id,
                project_name=project_name,
                outcome=outcome,
                detail=detail,
            )
        ]
    )


def write(records: Sequence[AuditRecord]) -> None:
    """Store the records with one statement."""
    AuditEntry.objects.bulk_create([_entry(record) for record in records])


def _entry(record: AuditRecord) -> AuditEntry:
    origin = record.actor.origin
    return AuditEntry(
        recorded_at=record.recorded_at,
        action=record.action,
        outcome=record.outcome,
        actor_kind=record.actor.kind,
        actor_id=record.actor.id,
        actor_label=_storable(record.actor.label, 512),
        token_id=record.actor.token_id,
        address=origin.address,
        user_agent=_storable(origin.user_agent, MAXIMUM_USER_AGENT),
        request_id=_storable(origin.request_id, 64),
        project_id=record.project_id,
        project_name=record.project_name,
        target_kind=record.target_kind,
        target_id=record.target_id,
        target_label=_storable(record.target_label, MAXIMUM_LABEL),
        detail=record.detail,
    )


def _storable(text: str, limit: int) -> str:
    """Cut what a client chose to what fits, without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "")[:limit]
