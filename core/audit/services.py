"""Writing audit entries, and handing them on to a syslog server where the settings name one."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from core.audit.forwarding import FORWARDER
from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.database.copying import Value, copy_rows
from core.database.statements import Statement
from core.rbac.types import Actor
from core.system_settings import queries as system_settings
from core.system_settings.rules import parse_endpoint
from core.system_settings.types import Settings

PULLED: Final = "artifact.pulled"
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
    """Store the few records of a transaction with one statement."""
    settings = system_settings.current()
    if not settings.skip_audit_log_database:
        entries = [dict(zip(_COLUMNS, _row(record), strict=True)) for record in records]
        _WRITE.execute_later(json.dumps(entries, default=datetime.isoformat))
    _forward_on_commit(records, settings)


def write_many(records: Sequence[AuditRecord]) -> None:
    """Do the same for very many, of which pulls may be left out by the settings."""
    settings = system_settings.current()
    if settings.pull_audit_log_disable:
        records = [record for record in records if record.action != PULLED]
    if not settings.skip_audit_log_database:
        copy_rows(AuditEntry._meta.db_table, _COLUMNS, map(_row, records))
    _forward_on_commit(records, settings)


def _forward_on_commit(records: Sequence[AuditRecord], settings: Settings) -> None:
    """Forward entries of what has happened, and of nothing that is undone."""
    if settings.audit_log_forward_endpoint and records:
        endpoint = parse_endpoint(settings.audit_log_forward_endpoint)
        transaction.on_commit(lambda: FORWARDER.keep(endpoint, records))


_COLUMNS: Final = {
    "recorded_at": "timestamptz",
    "action": "text",
    "outcome": "text",
    "actor_kind": "text",
    "actor_id": "bigint",
    "actor_label": "text",
    "token_id": "bigint",
    "address": "inet",
    "user_agent": "text",
    "request_id": "text",
    "project_id": "bigint",
    "project_name": "text",
    "target_kind": "text",
    "target_id": "text",
    "target_label": "text",
    "detail": "jsonb",
}

_WRITE: Final = Statement(
    "audit_write",
    f"INSERT INTO {AuditEntry._meta.db_table} ({', '.join(_COLUMNS)})"  # noqa: S608  # constants
    f" SELECT {', '.join(_COLUMNS)} FROM json_to_recordset($1::json)"
    f" AS entry({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())})",
)


def _row(record: AuditRecord) -> tuple[Value, ...]:
    """Return the values of an entry in the order of ``_COLUMNS``."""
    actor, origin = record.actor, record.actor.origin
    return (
        record.recorded_at,
        record.action,
        record.outcome,
        actor.kind,
        actor.id,
        _storable(actor.label, 512),
        actor.token_id,
        origin.address,
        _storable(origin.user_agent, MAXIMUM_USER_AGENT),
        _storable(origin.request_id, 64),
        record.project_id,
        record.project_name,
        record.target_kind,
        record.target_id,
        _storable(record.target_label, MAXIMUM_LABEL),
        record.detail,
    )


def _storable(text: str, limit: int) -> str:
    """Cut what a client chose to what fits, without NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "")[:limit]
