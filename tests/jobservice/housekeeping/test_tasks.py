"""Housekeeping carried out as runs, on real rows and files."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from core.artifacts import pulls
from core.artifacts.models import Manifest, PullUsage
from core.audit.buffer import BUFFER
from core.authn.models import LoginFailure
from core.blobs.models import Blob, Upload
from core.blobs.storing import StoredAt, condemn_locked
from core.common.clock import now as clock_now
from core.quotas.models import Quota
from core.rbac.types import Actor
from jobservice.housekeeping.schedules import SCHEDULES
from jobservice.runs import services
from jobservice.runs.models import JobRun
from jobservice.runs.scheduler import declared_schedules
from jobservice.runs.tasks import carry_out
from jobservice.worker.kinds import find_work
from tests.factories.artifacts import (
    PUSHER,
    find_manifest,
    make_blob,
    make_image,
    make_upload,
    stored_files,
    write_chunk,
)
from tests.factories.projects import make_project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("runs_here")]


def carry_out_kind(kind: str) -> JobRun:
    """Submit a run of the kind, carry it out and return its row."""
    run = services.submit(kind, actor=Actor.system())
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    return run


def test_every_schedule_names_work_that_exists() -> None:
    assert set(SCHEDULES) <= set(declared_schedules())
    assert all(find_work(schedule.kind) for schedule in SCHEDULES)


def test_expired_uploads_go_with_their_bytes_and_others_stay() -> None:
    project = make_project("library")
    expired, current = make_upload(project), make_upload(project)
    write_chunk(expired, b"forgotten")
    write_chunk(current, b"in progress")
    Upload.objects.filter(pk=expired.id).update(expires_at=clock_now() - timedelta(seconds=1))
    run = carry_out_kind("housekeeping.expired_uploads")
    assert (run.status, run.result) == ("succeeded", {"uploads_removed": 1})
    assert list(Upload.objects.values_list("pk", flat=True)) == [current.id]
    assert len(stored_files()) == 1


def test_stray_content_goes_by_a_run_of_its_own() -> None:
    upload = make_upload(make_project("library"))
    write_chunk(upload, b"stray")
    Upload.objects.all().delete()
    assert len(stored_files()) == 1
    assert carry_out_kind("housekeeping.expired_uploads").result == {"uploads_removed": 0}
    with time_machine.travel(clock_now() + timedelta(days=3)):
        run = carry_out_kind("housekeeping.stray_content")
    assert (run.status, run.result) == ("succeeded", {"strays_removed": 1})
    assert stored_files() == []


def test_condemned_content_goes_by_a_run_of_its_own() -> None:
    make_blob(make_project("library"), b"content")
    blob = Blob.objects.get()
    with transaction.atomic():
        condemn_locked(StoredAt(blob.store, blob.storage_key), kept_for=timedelta(0))
    Blob.objects.update(storage_key="elsewhere")
    run = carry_out_kind("housekeeping.condemned_content")
    assert (run.status, run.result) == ("succeeded", {"objects_removed": 1})
    assert stored_files() == []


def test_old_login_failures_are_forgotten() -> None:
    for number, age in enumerate((timedelta(days=2), timedelta(seconds=5))):
        LoginFailure.objects.create(
            username="dana",
            address="192.0.2.1",
            attempt=bytes([number]) * 32,
            failed_at=clock_now() - age,
        )
    run = carry_out_kind("housekeeping.expired_tokens")
    assert run.status == "succeeded"
    assert LoginFailure.objects.count() == 1


def test_pulls_are_folded_into_counters() -> None:
    project = make_project("library")
    make_image(project, "v1")
    found = find_manifest("library/app", "v1")
    assert found.manifest is not None
    assert found.repository_id is not None
    for _ in range(3):
        pulls.record_pull(
            actor=PUSHER,
            project_id=project.pk,
            repository_id=found.repository_id,
            repository_name="library/app",
            manifest=found.manifest,
            tag_name="v1",
        )
    BUFFER.flush()
    run = carry_out_kind("housekeeping.pull_records")
    assert (run.status, run.result) == ("succeeded", {"pulls_counted": 3})
    repository = project.repositories.get()
    assert repository.pull_count == 3
    assert repository.tags.get().last_pulled_at is not None
    assert repository.manifests.get().last_pulled_at is not None
    usage = PullUsage.objects.get()
    assert (usage.day, usage.tag_name, usage.client, usage.pulls) == (
        clock_now().date(),
        "v1",
        "other",
        3,
    )
    assert carry_out_kind("housekeeping.pull_usage").result == {"rows_removed": 0}
    PullUsage.objects.update(day=clock_now().date() - timedelta(days=401))
    assert carry_out_kind("housekeeping.pull_usage").result == {"rows_removed": 1}


def test_configurations_are_read_before_somebody_lists_them() -> None:
    project = make_project("library")
    for number in range(3):
        config = json.dumps({"os": f"os{number}"}).encode()
        make_image(project, f"v{number}", config=config, layers=(config,))
    run = carry_out_kind("housekeeping.attributes")
    assert (run.status, run.result) == ("succeeded", {"configurations_read": 3})
    kept = Manifest.objects.order_by("id").values_list("extra_attrs", flat=True)
    assert list(kept) == [{"os": "os0"}, {"os": "os1"}, {"os": "os2"}]


def test_runs_of_last_week_are_removed() -> None:
    old = services.submit("housekeeping.expired_tokens", actor=Actor.system())
    JobRun.objects.filter(pk=old.pk).update(
        status="succeeded", finished_at=clock_now() - timedelta(days=8)
    )
    run = carry_out_kind("housekeeping.finished_runs")
    assert run.result == {"runs_removed": 1}
    assert list(JobRun.objects.values_list("pk", flat=True)) == [run.pk]


def test_usage_is_added_up_and_recounted() -> None:
    project = make_project("library")
    make_blob(project, b"content")
    run = carry_out_kind("housekeeping.quota_usage")
    assert (run.status, run.result) == ("succeeded", {"projects_changed": 1})
    Quota.objects.update(used_bytes=1007)
    run = carry_out_kind("housekeeping.quota_recount")
    correction = {"project": "library", "contents": 0, "bytes": -1000}
    assert (run.status, run.result) == ("succeeded", {"projects": 1, "corrections": [correction]})
    assert carry_out_kind("housekeeping.quota_recount").result == {
        "projects": 1,
        "corrections": [],
    }
