"""Writing runs: submit, claim, report, finish, stop, sweep; and firing schedules.

A run moves pending -> running -> succeeded | failed | stopped by conditional updates, so
that any number of workers, sweepers and schedulers may act at once. Losing Redis delays
runs; it never loses one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.db.models import F, Q
from kombu.exceptions import OperationalError

from core.audit import services as audit
from core.common.clock import now as clock_now
from core.database.transactions import durable_write
from core.rbac.types import Actor
from jobservice.runs import rules
from jobservice.runs.errors import RunInProgress, RunLost, RunStopped
from jobservice.runs.models import JobRun, Schedule
from jobservice.runs.types import Claim, DeclaredSchedule, RunStatus, Swept
from jobservice.worker import app as worker

log = structlog.get_logger(__name__)

_SWEEP_BATCH = 200


def submit(
    kind: str,
    *,
    actor: Actor,
    subject: str = "",
    arguments: dict[str, Any] | None = None,
    concurrency_key: str = "",
) -> JobRun:
    """Write a pending run in the caller's transaction and send its id after the commit.

    Raises ``RunInProgress`` when an unfinished run holds ``concurrency_key``.
    """
    run = JobRun(
        id=uuid4(),
        kind=kind,
        subject=subject,
        arguments=arguments or {},
        actor_label=actor.label,
        concurrency_key=concurrency_key,
        created_at=clock_now(),
    )
    with transaction.atomic():
        written = JobRun.objects.bulk_create([run], ignore_conflicts=True)[0]
        if not JobRun.objects.filter(pk=run.pk).exists():
            raise RunInProgress(detail={"concurrency_key": concurrency_key})
        transaction.on_commit(lambda: _send([written.pk]))
    return written


@durable_write
def claim(run_id: UUID, *, now: datetime | None = None) -> Claim | None:
    """Take a pending run for this worker. None when it is not pending (any more).

    One that is to stop is never begun: it is recorded as stopped.
    """
    moment = now or clock_now()
    pending = JobRun.objects.filter(pk=run_id, status=RunStatus.PENDING)
    pending.filter(stop_requested_at__isnull=False).update(**_stopped(moment))
    taken = pending.filter(stop_requested_at=None).update(
        status=RunStatus.RUNNING,
        attempt=F("attempt") + 1,
        started_at=moment,
        heartbeat_at=moment,
        message="",
    )
    if not taken:
        return None
    run = JobRun.objects.get(pk=run_id)
    return Claim(run.pk, run.attempt, run.kind, run.arguments)


def beat(claim: Claim, **progress: object) -> None:
    """Prove life and store progress fields.

    Raises ``RunLost`` when the claim is over, ``RunStopped`` when a stop was requested.
    """
    held = JobRun.objects.filter(pk=claim.run_id, status=RunStatus.RUNNING, attempt=claim.attempt)
    if not held.update(heartbeat_at=clock_now(), **progress):
        raise RunLost
    if held.filter(stop_requested_at__isnull=False).exists():
        raise RunStopped


@durable_write
def finish(
    claim: Claim,
    status: RunStatus,
    *,
    result: dict[str, Any] | None = None,
    message: str = "",
) -> bool:
    """Record the end of a run; False when the claim had been lost before."""
    return bool(
        JobRun.objects.filter(
            pk=claim.run_id, status=RunStatus.RUNNING, attempt=claim.attempt
        ).update(status=status, result=result, message=message, finished_at=clock_now())
    )


@durable_write
def request_stop(run: JobRun, *, actor: Actor) -> None:
    """Ask an unfinished run to stop: a pending one at once, a running one at its next report."""
    moment = clock_now()
    JobRun.objects.filter(pk=run.pk, status=RunStatus.PENDING).update(
        status=RunStatus.STOPPED, stop_requested_at=moment, finished_at=moment
    )
    JobRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING).update(stop_requested_at=moment)
    audit.record(
        "runs.run.stop_requested",
        actor,
        target_kind="run",
        target_id=str(run.pk),
        target_label=f"{run.kind} {run.subject}".strip(),
    )


def sweep(*, now: datetime | None = None) -> Swept:
    """Take runs back from workers that died, and send again what the broker lost."""
    moment = now or clock_now()
    dead = JobRun.objects.filter(
        status=RunStatus.RUNNING, heartbeat_at__lt=moment - rules.DEAD_AFTER
    )
    stopped = dead.filter(stop_requested_at__isnull=False).update(**_stopped(moment))
    failed = dead.filter(attempt__gte=F("maximum_attempts")).update(
        status=RunStatus.FAILED,
        finished_at=moment,
        message="The worker stopped answering and no attempt is left.",
    )
    reclaimed = dead.update(
        status=RunStatus.PENDING, sent_at=None, message="The worker stopped answering."
    )
    unsent = JobRun.objects.filter(status=RunStatus.PENDING).filter(
        Q(sent_at=None, created_at__lt=moment) | Q(sent_at__lt=moment - rules.SEND_AGAIN_AFTER)
    )
    identifiers = list(unsent.order_by("created_at").values_list("pk", flat=True)[:_SWEEP_BATCH])
    return Swept(sent=_send(identifiers), reclaimed=reclaimed, failed=failed, stopped=stopped)


@durable_write
def declare_schedules(declared: Iterable[DeclaredSchedule], *, now: datetime) -> None:
    """Bring the product's own schedules up to date; an operator's switch-off stays."""
    for schedule in declared:
        Schedule.objects.update_or_create(
            name=schedule.name,
            defaults={
                "kind": schedule.kind,
                "interval_seconds": int(schedule.interval.total_seconds()),
                "cron": "",
            },
            create_defaults={
                "kind": schedule.kind,
                "interval_seconds": int(schedule.interval.total_seconds()),
                "next_due_at": now,
            },
        )


@durable_write
def fire_due_schedules(*, actor: Actor, now: datetime) -> int:
    """Submit a run for each schedule that is due, and return how many were.

    Rows that another scheduler holds are skipped. A schedule whose last run has not ended is
    moved on without a new run.
    """
    due = Schedule.objects.filter(is_enabled=True, next_due_at__lte=now)
    fired = 0
    for schedule in due.order_by("next_due_at").select_for_update(skip_locked=True):
        try:
            run = submit(
                schedule.kind,
                actor=actor,
                subject=schedule.name,
                arguments=schedule.arguments,
                concurrency_key=f"schedule:{schedule.name}",
            )
            schedule.last_run_id = run.pk
            fired += 1
        except RunInProgress:
            log.info("schedule_still_running", schedule=schedule.name)
        schedule.next_due_at = rules.next_due(
            now, cron=schedule.cron, interval_seconds=schedule.interval_seconds
        )
        schedule.save(update_fields=["next_due_at", "last_run_id"])
    return fired


@durable_write
def delete_finished(*, before: datetime) -> int:
    """Delete runs that ended before the instant, and return how many."""
    return JobRun.objects.filter(finished_at__lt=before).delete()[0]


def _stopped(moment: datetime) -> dict[str, Any]:
    """Return the values of a run whose request to stop took effect without its worker."""
    return {
        "status": RunStatus.STOPPED,
        "finished_at": moment,
        "message": "Stopped on request.",
    }


def _send(identifiers: list[UUID]) -> int:
    sent = 0
    for run_id in identifiers:
        try:
            worker.send(str(run_id))
        except OperationalError:
            # The row stays pending and unsent; the sweeper tries again.
            log.warning("broker_unreachable", run_id=str(run_id))
            break
        JobRun.objects.filter(pk=run_id).update(sent_at=clock_now())
        sent += 1
    return sent
