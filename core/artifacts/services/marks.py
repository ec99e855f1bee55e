"""Comparing the marks of manifests, which lists go by, with references and tags.

Triggers keep the marks (migration 0011), so a mark that is wrong means a defect. Whatever it was,
lists must show what is there again.
"""

from typing import Final

import structlog

from core.audit import services as audit
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor

log = structlog.get_logger(__name__)

_BATCH: Final = """
SELECT max(id), array_agg(id) FILTER (
           WHERE is_child <> EXISTS (SELECT FROM artifacts_manifestreference WHERE child_id = m.id)
              OR NOT may_be_tagged AND EXISTS (SELECT FROM artifacts_tag WHERE manifest_id = m.id))
  FROM (SELECT id, is_child, may_be_tagged FROM artifacts_manifest
         WHERE id > %s ORDER BY id LIMIT %s) AS m
"""


@durable_write
def correct_marks(after_id: int, limit: int, *, actor: Actor) -> tuple[int, int | None]:
    """Look at up to ``limit`` manifests behind ``after_id``; correct and record wrong marks.

    Returns how many were corrected, and the last id looked at, None when there are no more.
    """
    last_id, wrong = raw.fetch_all(_BATCH, (after_id, limit))[0]
    if not wrong:
        return 0, last_id
    ((corrected,),) = raw.fetch_all("SELECT artifacts_mark_again(%s::bigint[])", (wrong,))
    if corrected:
        log.warning("marks_corrected", manifests=corrected)
        audit.record(
            "artifact.marks_corrected",
            actor,
            target_kind="system",
            target_label="manifests",
            detail={"manifests": corrected},
        )
    return corrected, last_id
