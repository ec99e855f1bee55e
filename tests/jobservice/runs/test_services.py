"""Runs: submitted durably, claimed once, fenced, swept; schedules fired once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from core.audit.models import AuditEntry
from core.common.clock import now as clock_now
from core.rbac.types import Actor
from jobservice.runs import rules, services
from jobservice.runs.errors import RunInProgress, RunLost, RunStopped
from jobservice.runs.models import JobRun, Schedule
from jobservice.runs.types import DeclaredSchedule, RunStatus
from jobservice.worker import app as worker

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would go to the broker."""
    messages: list[str] = []
    monkeypatch.setattr(worker, "send", messages.append)
    return messages


def in_parallel(count: int, call: Callable[[], None]) -> None:
    """Run the call in so many threads at once and wait for all."""

    def run() -> None:
        try:
            call()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_id_is_sent_after_the_commit_only(sent: list[str]) -> None:
    with transaction.atomic():
        run = services.submit("test.kind", actor=SYSTEM)
        assert sent == []
    assert sent == [str(run.pk)]
    run.refresh_from_db()
    assert run.status == RunStatus.PENDING
    assert run.sent_at is not None


def test_run_of_a_rolled_back_request_does_not_exist(sent: list[str]) -> None:
    with transaction.atomic():
        services.submit("test.kind", actor=SYSTEM)
        transaction.set_rollback(True)
    assert sent == []
    assert not JobRun.objects.exists()


def test_concurrency_key_admits_one_unfinished_run(sent: list[str]) -> None:
    refused: list[RunInProgress] = []

    def submit() -> None:
        try:
            services.submit("test.kind", actor=SYSTEM, concurrency_key="only")
        except RunInProgress as error:
            refused.append(error)

    in_parallel(8, submit)
    assert len(refused) == 7
    run = JobRun.objects.get()
    claim = services.claim(run.pk)
    assert claim is not None
    services.finish(claim, RunStatus.SUCCEEDED)
    services.submit("test.kind", actor=SYSTEM, concurrency_key="only")
    assert len(sent) == 2


def test_one_of_many_workers_claims_a_run(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM, arguments={"number": 3})
    claims: list[int] = []

    def claim() -> None:
        if (held := services.claim(run.pk)) is not None:
            assert held.arguments == {"number": 3}
            claims.append(held.attempt)

    in_parallel(8, claim)
    assert claims == [1]


def test_lost_message_is_sent_again(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    later = clock_now() + rules.SEND_AGAIN_AFTER + timedelta(seconds=1)
    assert services.sweep(now=clock_now()).sent == 0
    assert services.sweep(now=later).sent == 1
    assert sent == [str(run.pk)] * 2


def test_dead_worker_loses_its_run_and_is_fenced(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    dead = services.claim(run.pk)
    assert dead is not None
    later = clock_now() + rules.DEAD_AFTER + timedelta(seconds=1)
    assert services.sweep(now=later).reclaimed == 1
    second = services.claim(run.pk)
    assert second is not None
    assert second.attempt == 2
    with pytest.raises(RunLost):
        services.beat(dead, progress_done=5)
    assert not services.finish(dead, RunStatus.SUCCEEDED)
    assert services.finish(second, RunStatus.SUCCEEDED, result={"done": 1})
    run.refresh_from_db()
    assert (run.status, run.result, run.progress_done) == ("succeeded", {"done": 1}, 0)


def test_run_without_attempts_left_fails(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    for _ in range(run.maximum_attempts):
        assert services.claim(run.pk) is not None
        later = clock_now() + rules.DEAD_AFTER + timedelta(seconds=1)
        swept = services.sweep(now=later)
    assert swept.failed == 1
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "no attempt is left" in run.message


def test_pending_run_stops_at_once(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    services.request_stop(run, actor=SYSTEM)
    assert services.claim(run.pk) is None
    assert AuditEntry.objects.get().action == "runs.run.stop_requested"


def test_running_run_stops_at_its_next_report(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    claim = services.claim(run.pk)
    assert claim is not None
    services.beat(claim, progress_done=1)
    services.request_stop(run, actor=SYSTEM)
    with pytest.raises(RunStopped):
        services.beat(claim, progress_done=2)


def test_a_dead_workers_run_that_was_to_stop_is_not_begun_again(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    dead = services.claim(run.pk)
    assert dead is not None
    services.request_stop(run, actor=SYSTEM)
    later = clock_now() + rules.DEAD_AFTER + timedelta(seconds=1)
    swept = services.sweep(now=later)
    assert (swept.stopped, swept.reclaimed, swept.failed) == (1, 0, 0)
    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("stopped", later)
    with pytest.raises(RunLost):
        services.beat(dead)


def test_a_pending_run_that_is_to_stop_is_not_claimed(sent: list[str]) -> None:
    run = services.submit("test.kind", actor=SYSTEM)
    JobRun.objects.filter(pk=run.pk).update(stop_requested_at=clock_now())
    assert services.claim(run.pk) is None
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("stopped", 0)


def test_due_schedule_fires_once_with_many_schedulers(sent: list[str]) -> None:
    start = clock_now()
    declared = [DeclaredSchedule("test", "test.kind", timedelta(seconds=30))]
    services.declare_schedules(declared, now=start)

    def fire() -> None:
        services.fire_due_schedules(actor=SYSTEM, now=start)

    in_parallel(6, fire)
    run = JobRun.objects.get()
    schedule = Schedule.objects.get()
    assert (run.kind, run.subject, schedule.last_run_id) == (
        "test.kind",
        "test",
        run.pk,
    )
    assert schedule.next_due_at == start + timedelta(seconds=30)


def test_schedule_skips_while_its_last_run_is_unfinished(sent: list[str]) -> None:
    start = clock_now()
    services.declare_schedules(
        [DeclaredSchedule("test", "test.kind", timedelta(seconds=30))], now=start
    )
    assert services.fire_due_schedules(actor=SYSTEM, now=start) == 1
    later = start + timedelta(seconds=31)
    assert services.fire_due_schedules(actor=SYSTEM, now=later) == 0
    assert Schedule.objects.get().next_due_at == later + timedelta(seconds=30)


def test_declaring_again_keeps_an_operators_switch(sent: list[str]) -> None:
    declared = [DeclaredSchedule("test", "test.kind", timedelta(seconds=30))]
    services.declare_schedules(declared, now=clock_now())
    Schedule.objects.update(is_enabled=False)
    changed = [DeclaredSchedule("test", "test.other", timedelta(seconds=60))]
    services.declare_schedules(changed, now=clock_now())
    schedule = Schedule.objects.get()
    assert (schedule.kind, schedule.interval_seconds, schedule.is_enabled) == (
        "test.other",
        60,
        False,
    )


def test_old_finished_runs_are_deleted_and_unfinished_kept(sent: list[str]) -> None:
    finished = services.submit("test.kind", actor=SYSTEM)
    waiting = services.submit("test.kind", actor=SYSTEM)
    claim = services.claim(finished.pk)
    assert claim is not None
    services.finish(claim, RunStatus.SUCCEEDED)
    assert services.delete_finished(before=clock_now() + timedelta(seconds=1)) == 1
    assert list(JobRun.objects.values_list("pk", flat=True)) == [waiting.pk]


def test_claim_of_an_unknown_run_is_none() -> None:
    assert services.claim(UUID(int=0)) is None
