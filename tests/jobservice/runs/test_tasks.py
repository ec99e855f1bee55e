"""The task base, with the real broker and a real worker."""

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from celery.contrib.testing.worker import start_worker
from django.db import connections

from core.common.clock import now as clock_now
from core.rbac.types import Actor
from jobservice.runs import rules, services
from jobservice.runs.models import JobRun
from jobservice.runs.tasks import carry_out
from jobservice.worker import app as worker
from jobservice.worker.kinds import Result, RunContext, run_kind

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system()


@run_kind("test.counting")
def count_to(context: RunContext) -> Result:
    """Report each number up to the one asked for."""
    total = int(context.arguments["total"])
    for number in range(1, total + 1):
        context.report(number, total, f"number {number}")
    return {"counted": total}


@run_kind("test.breaking")
def break_down(context: RunContext) -> Result:
    """Fail, as faulty work would."""
    raise KeyError("missing part")


@run_kind("test.stopping")
def stop_itself(context: RunContext) -> Result:
    """Have itself stopped between two reports."""
    context.report(1)
    services.request_stop(JobRun.objects.get(kind="test.stopping"), actor=SYSTEM)
    context.report(2)
    return {}


@run_kind("test.stopping_late")
def report_late(context: RunContext) -> Result:
    """Have itself stopped, then work on for several heartbeats before the next report."""
    services.request_stop(JobRun.objects.get(kind="test.stopping_late"), actor=SYSTEM)
    asked_at = clock_now()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        beaten_at = JobRun.objects.values_list("heartbeat_at", flat=True).get()
        if beaten_at is not None and beaten_at > asked_at + timedelta(seconds=0.2):
            break
        time.sleep(0.02)
    else:
        raise AssertionError("no heartbeat after the request to stop")
    context.report(1)
    return {}


@pytest.fixture
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs of tests that call the task themselves away from the broker."""
    monkeypatch.setattr(worker, "send", lambda run_id: None)


@pytest.mark.usefixtures("quiet_broker")
def test_progress_and_result_are_recorded() -> None:
    run = services.submit("test.counting", actor=SYSTEM, arguments={"total": 3})
    carry_out(run_id=str(run.pk), later_keyword=True)
    run.refresh_from_db()
    assert (run.status, run.result) == ("succeeded", {"counted": 3})
    assert (run.progress_done, run.progress_total) == (3, 3)


@pytest.mark.usefixtures("quiet_broker")
def test_failure_is_recorded_with_its_reason() -> None:
    run = services.submit("test.breaking", actor=SYSTEM)
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.message) == ("failed", "KeyError: 'missing part'")


@pytest.mark.usefixtures("quiet_broker")
def test_stop_is_honoured_between_reports() -> None:
    run = services.submit("test.stopping", actor=SYSTEM)
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.progress_done) == ("stopped", 2)


@pytest.mark.usefixtures("quiet_broker")
def test_a_run_asked_to_stop_beats_until_it_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "HEARTBEAT_EVERY", timedelta(seconds=0.05))
    run = services.submit("test.stopping_late", actor=SYSTEM)
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.message) == ("stopped", "Stopped on request.")


@pytest.mark.usefixtures("quiet_broker")
def test_unknown_kind_fails_with_a_sentence() -> None:
    run = services.submit("test.nobody_knows", actor=SYSTEM)
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.message == "This worker does not know test.nobody_knows."


@pytest.mark.usefixtures("quiet_broker")
def test_second_delivery_of_a_message_does_nothing() -> None:
    run = services.submit("test.counting", actor=SYSTEM, arguments={"total": 1})
    carry_out(run_id=str(run.pk))
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.attempt == 1


@pytest.fixture
def running_worker() -> Iterator[None]:
    """Run a Celery worker on the tests' Redis in a thread."""
    with start_worker(worker.app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        yield
    connections.close_all()


@pytest.mark.usefixtures("running_worker")
def test_run_passes_through_the_real_broker() -> None:
    run = services.submit("test.counting", actor=SYSTEM, arguments={"total": 2})
    assert _wait_until_finished(run.pk).status == "succeeded"


@pytest.mark.usefixtures("running_worker")
def test_flushed_broker_delays_a_run_and_loses_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as lost:
        lost.setattr(worker, "send", lambda run_id: None)
        run = services.submit("test.counting", actor=SYSTEM, arguments={"total": 2})
    assert services.sweep(now=clock_now() + 2 * services.rules.SEND_AGAIN_AFTER).sent == 1
    assert _wait_until_finished(run.pk).status == "succeeded"


def _wait_until_finished(run_id: UUID) -> JobRun:
    deadline = time.monotonic() + 20
    run = JobRun.objects.get(pk=run_id)
    while run.finished_at is None and time.monotonic() < deadline:
        time.sleep(0.05)
        run.refresh_from_db()
    return run
