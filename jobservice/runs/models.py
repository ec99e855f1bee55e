"""Tables of runs and schedules."""

import uuid

from django.db import models


class JobRun(models.Model):
    """One execution of a kind of work.

    ``status`` is pending, running, succeeded, failed or stopped. A worker claims a pending run
    by conditional update and proves life through ``heartbeat_at``; ``attempt`` grows with each
    claim and fences a worker that lost its run. ``sent_at`` is when the broker last got the
    id. ``concurrency_key`` is unique among unfinished runs when not empty.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=64)
    subject = models.CharField(max_length=255, blank=True)
    arguments = models.JSONField(default=dict)
    actor_label = models.CharField(max_length=512)
    status = models.CharField(max_length=16, default="pending")
    concurrency_key = models.CharField(max_length=255, blank=True)
    attempt = models.IntegerField(default=0)
    maximum_attempts = models.IntegerField(default=3)
    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(null=True)
    message = models.TextField(blank=True)
    result = models.JSONField(null=True)
    stop_requested_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "concurrency_key",
                condition=models.Q(status__in=("pending", "running"))
                & ~models.Q(concurrency_key=""),
                name="runs_jobrun_one_unfinished",
            ),
        )
        indexes = (
            models.Index(
                "status",
                "created_at",
                condition=models.Q(status__in=("pending", "running")),
                name="runs_jobrun_unfinished",
            ),
            models.Index("kind", "created_at", name="runs_jobrun_kind"),
        )


class Schedule(models.Model):
    """Asks for a run of ``kind`` at the times of a cron expression or every so many seconds.

    ``next_due_at`` is moved forward in the transaction that writes the run, under
    ``SKIP LOCKED``, so any number of schedulers may run.
    """

    name = models.CharField(max_length=128, unique=True)
    kind = models.CharField(max_length=64)
    arguments = models.JSONField(default=dict)
    cron = models.CharField(max_length=128, blank=True)
    interval_seconds = models.IntegerField(null=True)
    is_enabled = models.BooleanField(default=True)
    next_due_at = models.DateTimeField(db_index=True)
    last_run_id = models.UUIDField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=(models.Q(interval_seconds=None) & ~models.Q(cron=""))
                | models.Q(interval_seconds__gt=0, cron=""),
                name="runs_schedule_one_rhythm",
            ),
        )
