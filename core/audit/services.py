"""Writing audit entries, and handing them on to a syslog server where the settings name one."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import transaction

from core.audit.forwarding import FORWARDER
from core.audit.models import AuditEntry
from core.audit.types import AuditRecord, Outcome
from core.database import raw
from core.database.copying import Value, copy_rows
from core.database.statements import Statement
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.system_settings import queries as system_settings
from core.system_settings.rules import parse_endpoint
from core.system_settings.types import Settings

log = structlog.get_logger(__name__)

PULLED: Final = "artifact.pulled"
MAXIMUM_USER_AGENT = 512
MAXIMUM_LABEL = 1024


# Rows of a statement are written in one order, so two runs do not wait for each other in a ring.
_SETTLE: Final = """
WITH chosen AS MATERIALIZED (
     SELECT id FROM audit_auditcount WHERE NOT is_settled
      ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED),
     taken AS (
     DELETE FROM audit_auditcount WHERE id IN (SELECT id FROM chosen)
     RETURNING project_id, day, target_kind, action, outcome, entries),
     settled AS (
     INSERT INTO audit_auditcount AS settled
            (project_id, day, target_kind, action, outcome, entries, is_settled)
     SELECT project_id, day, target_kind, action, outcome, sum(entries), true
       FROM taken GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
     ON CONFLICT (project_id, day, target_kind, action, outcome) WHERE is_settled
     DO UPDATE SET entries = settled.entries + excluded.entries)
SELECT count(*) FROM taken
"""

_IS_EMPTY: Final = """
NOT EXISTS (SELECT FROM audit_auditentry e WHERE e.id BETWEEN s.number * 32 AND s.number * 32 + 31)
"""

# What two runs add to one stretch, they add one after the other.
_SETTLE_STRETCHES: Final = """
WITH chosen AS MATERIALIZED (
     SELECT id FROM audit_auditstretch WHERE NOT is_settled
      ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED),
     taken AS (
     DELETE FROM audit_auditstretch WHERE id IN (SELECT id FROM chosen)
     RETURNING number, resources),
     settled AS (
     INSERT INTO audit_auditstretch AS settled (number, resources, is_settled)
     SELECT number, string_agg(resources, E'\n'), true FROM taken GROUP BY 1 ORDER BY 1
     ON CONFLICT (number) WHERE is_settled
     DO UPDATE SET resources = settled.resources || E'\n' || excluded.resources)
SELECT count(*) FROM taken
"""

_PACK_AGAIN: Final = """
INSERT INTO audit_auditstretch (number, resources)
SELECT id / 32, string_agg(upper(target_label), E'\n')
  FROM audit_auditentry e
 WHERE NOT EXISTS (SELECT FROM audit_auditstretch
                    WHERE number = e.id / 32 AND strpos(resources, upper(e.target_label)) > 0)
 GROUP BY 1
"""

# Looked for once before they are locked and once after it: entries may have come meanwhile.
_LOCK_EMPTY_STRETCHES: Final = f"""
SELECT id FROM audit_auditstretch AS s WHERE is_settled AND {_IS_EMPTY}
 ORDER BY number FOR UPDATE
"""  # noqa: S608  # made of constants
_REMOVE_EMPTY_STRETCHES: Final = f"""
DELETE FROM audit_auditstretch AS s WHERE id = ANY(%s::bigint[]) AND {_IS_EMPTY}
"""  # noqa: S608  # made of constants


_RECOUNT_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('core.audit.recount', 0))"

# Entries and counts are read in one statement, so they are of the same instant whatever is written
# meanwhile; a difference is right whatever else is counted before it is.
_RECOUNT: Final = """
INSERT INTO audit_auditcount (project_id, day, target_kind, action, outcome, entries)
SELECT project_id, day, target_kind, action, outcome, sum(entries)
  FROM (SELECT project_id, day, target_kind, action, outcome, count(*) AS entries
          FROM audit_auditentry,
               LATERAL (SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day) AS at
         GROUP BY GROUPING SETS ((project_id, target_kind, action, outcome),
                                 (day, target_kind, action, outcome))
         UNION ALL
        SELECT project_id, day, target_kind, action, outcome, -entries
          FROM audit_auditcount) AS differences
 GROUP BY project_id, day, target_kind, action, outcome HAVING sum(entries) <> 0
"""


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


@durable_write
def settle_counts(limit: int) -> int:
    """Add up to ``limit`` rows of counts to the settled ones; return how many there were.

    What the rows say together stays the same, in every snapshot.
    """
    row = raw.fetch_one(_SETTLE, (limit,))
    return 0 if row is None else int(row[0])


@durable_write
def settle_stretches(limit: int) -> int:
    """Put up to ``limit`` rows of what entries are about together; return how many there were."""
    row = raw.fetch_one(_SETTLE_STRETCHES, (limit,))
    return 0 if row is None else int(row[0])


@durable_write
def recount() -> int:
    """Compare the counts of entries with the entries; correct those that are wrong.

    Returns how many were. One that is means a defect of the triggers that keep them.
    """
    raw.execute("SET LOCAL statement_timeout = 0")
    # Two at once would correct the same twice.
    raw.execute(_RECOUNT_ALONE)
    corrected = raw.execute(_RECOUNT)
    if corrected:
        log.warning("audit_counts_corrected", counts=corrected)
    return corrected


@durable_write
def pack_again() -> int:
    """Compare what stretches have with what entries are about; add what they lack.

    Returns how many lacked something, which means a defect of the trigger that keeps them. Those
    whose entries are all gone are removed.
    """
    raw.execute("SET LOCAL statement_timeout = 0")
    corrected = raw.execute(_PACK_AGAIN)
    if corrected:
        log.warning("audit_stretches_corrected", stretches=corrected)
    empty = [stretch for (stretch,) in raw.fetch_all(_LOCK_EMPTY_STRETCHES)]
    raw.execute(_REMOVE_EMPTY_STRETCHES, (empty,))
    return corrected


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
