"""Periodic work without policies: each kind calls one service in batches."""

from datetime import timedelta
from typing import Any

from django.conf import settings

from core.api import idempotency
from core.artifacts import attributes, pulls
from core.artifacts.services import expiry, marks, naming
from core.audit import services as audit
from core.authn import services as authn
from core.blobs import services as blobs
from core.common.clock import now as clock_now
from core.quotas.services import fold_usage
from core.rbac.types import Actor
from core.trash import services as trash
from core.usage.services import reconcile
from jobservice.runs import services as runs
from jobservice.worker.kinds import RunContext, run_kind

BATCH = 100
STRAY_AGE = timedelta(hours=48)
KEEP_FINISHED_RUNS = timedelta(days=7)
USAGE_BATCH = 10_000
COUNTS_BATCH = 10_000
MARKS_BATCH = 1_000


@run_kind("housekeeping.expired_uploads")
def remove_expired_uploads(context: RunContext) -> dict[str, Any]:
    """Remove uploads nobody continued, with their bytes."""
    removed = 0
    while batch := blobs.sweep_uploads(clock_now(), limit=BATCH):
        removed += batch
        context.report(removed, message=f"{removed} uploads removed")
    return {"uploads_removed": removed}


@run_kind("housekeeping.condemned_content")
def remove_condemned_content(context: RunContext) -> dict[str, Any]:
    """Remove objects that no blob stands on any more, once nobody should be reading them."""
    removed = 0
    while batch := blobs.sweep_condemned(limit=BATCH):
        removed += batch
        context.report(removed, message=f"{removed} objects removed")
    return {"objects_removed": removed}


@run_kind("housekeeping.stray_content")
def remove_stray_content(context: RunContext) -> dict[str, Any]:
    """Remove stored bytes that no row names. Walks over the whole storage."""
    return {"strays_removed": blobs.sweep_strays(clock_now(), older_than=STRAY_AGE)}


@run_kind("housekeeping.expired_tags")
def end_expired_tags(context: RunContext) -> dict[str, Any]:
    """End tags whose time is over; they can be restored from the trash."""
    now, after_id, total = clock_now(), 0, 0
    while True:
        last_id, ended = expiry.end_expired_tags(now, after_id=after_id, limit=BATCH)
        total += ended
        if last_id is None:
            return {"tags_ended": total}
        after_id = last_id
        context.report(total, message=f"{total} tags ended")


@run_kind("housekeeping.dead_redirects")
def end_dead_redirects(context: RunContext) -> dict[str, Any]:
    """Remove redirects whose names belong to other projects now."""
    return {"redirects_ended": naming.end_dead_redirects()}


@run_kind("housekeeping.expired_trash")
def let_go_of_expired_trash(context: RunContext) -> dict[str, Any]:
    """Let go of what was deleted and whose time in the trash is over."""
    removed = 0
    while batch := trash.let_go_of_expired(clock_now(), limit=BATCH):
        removed += batch
        context.report(removed, message=f"{removed} entries of the trash removed")
    return {"trash_entries_removed": removed}


@run_kind("housekeeping.expired_tokens")
def remove_expired_tokens(context: RunContext) -> dict[str, Any]:
    """Remove tokens, refresh tokens, login failures and keys that are past their use."""
    at = clock_now()
    return {**authn.delete_expired(at), "idempotent_requests": idempotency.delete_expired(at)}


@run_kind("housekeeping.pull_records")
def fold_pull_records(context: RunContext) -> dict[str, Any]:
    """Fold pull records into pull counts and last-pulled times."""
    folded = 0
    while batch := pulls.fold_pull_records(clock_now()):
        folded += batch
        context.report(folded, message=f"{folded} pulls counted")
    return {"pulls_counted": folded}


@run_kind("housekeeping.audit_counts")
def settle_audit_counts(context: RunContext) -> dict[str, Any]:
    """Add up how many audit entries have been written and removed, and pack what they are about."""
    settled, packed = 0, 0
    while batch := audit.settle_counts(COUNTS_BATCH):
        settled += batch
        context.report(settled, message=f"{settled} counts added up")
    while batch := audit.settle_stretches(COUNTS_BATCH):
        packed += batch
        context.report(settled + packed, message=f"{packed} rows packed")
    return {"counts_settled": settled, "rows_packed": packed}


@run_kind("housekeeping.audit_recount")
def recount_audit(context: RunContext) -> dict[str, Any]:
    """Compare what is kept of audit entries beside them with the entries, and correct it."""
    return {"counts_corrected": audit.recount(), "stretches_corrected": audit.pack_again()}


@run_kind("housekeeping.artifact_marks")
def correct_artifact_marks(context: RunContext) -> dict[str, Any]:
    """Compare the marks that lists of artifacts go by with what is there, and correct them."""
    after_id, total = 0, 0
    while True:
        corrected, last_id = marks.correct_marks(after_id, MARKS_BATCH, actor=Actor.system())
        total += corrected
        if last_id is None:
            return {"manifests_corrected": total}
        after_id = last_id
        context.report(total, message=f"{total} manifests corrected")


@run_kind("housekeeping.pull_usage")
def remove_old_usage(context: RunContext) -> dict[str, Any]:
    """Remove what is known of the pulls of days long past."""
    before = clock_now().date() - timedelta(days=settings.ROADSTEAD.limits.usage_days)
    removed = 0
    while batch := pulls.remove_old_usage(before, USAGE_BATCH):
        removed += batch
        context.report(removed, message=f"{removed} rows removed")
    return {"rows_removed": removed}


@run_kind("housekeeping.attributes")
def read_attributes(context: RunContext) -> dict[str, Any]:
    """Read what the configurations of new artifacts say, before somebody lists them."""
    kept, after = 0, 0
    while True:
        batch, last = attributes.keep_unread_attributes(after, BATCH)
        kept += batch
        if last is None:
            return {"configurations_read": kept}
        after = last
        context.report(kept, message=f"{kept} configurations read")


@run_kind("housekeeping.finished_runs")
def remove_finished_runs(context: RunContext) -> dict[str, Any]:
    """Remove runs that ended a week ago."""
    return {"runs_removed": runs.delete_finished(before=clock_now() - KEEP_FINISHED_RUNS)}


@run_kind("housekeeping.quota_usage")
def add_up_usage(context: RunContext) -> dict[str, Any]:
    """Add up what projects without a limit hold, and announce those that are nearly full."""
    return {"projects_changed": fold_usage(clock_now())}


@run_kind("housekeeping.quota_recount")
def recount_usage(context: RunContext) -> dict[str, Any]:
    """Recount what projects hold, and correct what was counted wrongly."""
    done = reconcile(
        actor=Actor.system(),
        on_project=lambda number: context.report(number, message=f"{number} projects recounted"),
    )
    return {
        "projects": done.projects,
        "corrections": [
            {"project": found.project_name, "contents": found.contents, "bytes": found.bytes}
            for found in done.corrections
        ],
    }
