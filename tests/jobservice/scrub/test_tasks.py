"""The scrub as runs: what is due, how much of it, stopping and going on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest
from core.audit.models import AuditEntry
from core.blobs.models import Blob
from core.common.clock import now
from core.projects.models import Project
from core.rbac.types import Actor
from core.storage.selection import default_driver
from jobservice.runs import services
from jobservice.runs.models import JobRun
from jobservice.runs.scheduler import declared_schedules
from jobservice.runs.tasks import carry_out
from jobservice.scrub import tasks
from jobservice.scrub.schedules import SCHEDULES
from tests.factories.artifacts import make_blob, make_image
from tests.factories.projects import make_project
from tests.factories.storages import damage, write_object

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("runs_here")]

LONG_AGO = timedelta(days=40)


@pytest.fixture
def project() -> Project:
    return make_project("library")


def carry_out_kind(kind: str = "scrub.content") -> JobRun:
    run = services.submit(kind, actor=Actor.system())
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    return run


def make_old_blobs(project: Project, count: int, size: int = 10) -> list[Blob]:
    """Make blobs of one size, the first of which was stored longest ago."""
    for number in range(count):
        made = make_blob(project, f"{number:0{size}}".encode())
        created_at = now() - LONG_AGO + timedelta(minutes=number)
        Blob.objects.filter(pk=made.id).update(created_at=created_at)
    return list(Blob.objects.order_by("created_at"))


def scrub_days(changed: Settings, days: int) -> None:
    storage = replace(settings.ROADSTEAD.storage, scrub_days=days)
    changed.ROADSTEAD = replace(settings.ROADSTEAD, storage=storage)


def test_the_schedules_are_declared() -> None:
    assert set(SCHEDULES) <= set(declared_schedules())


def test_a_run_reads_its_share_of_what_has_waited_longest(project: Project) -> None:
    blobs = make_old_blobs(project, 4, size=360)
    run = carry_out_kind()
    assert run.status == "succeeded"
    # 1,440 bytes in 360 runs: four bytes, which begins one blob.
    assert run.result == {
        "bytes": 360,
        "is_behind": True,
        "sound": 1,
        "wrong": 0,
        "missing": 0,
        "unreadable": 0,
    }
    verified = list(Blob.objects.exclude(verified_at=None))
    assert verified == [blobs[0]]
    carry_out_kind()
    assert list(Blob.objects.exclude(verified_at=None).order_by("id")) == blobs[:2]


def test_what_was_verified_lately_is_not_read_again(project: Project) -> None:
    make_blob(project, b"fresh")
    run = carry_out_kind()
    assert run.result is not None
    assert (run.result["bytes"], run.result["is_behind"]) == (0, False)


def test_damage_is_marked_and_logged_and_restored_content_is_noticed(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    (blob,) = make_old_blobs(project, 1)
    original = damage(default_driver(), blob.storage_key, "flipped")
    run = carry_out_kind()
    assert run.result is not None
    assert run.result["wrong"] == 1
    blob.refresh_from_db()
    assert blob.damaged_at is not None
    assert AuditEntry.objects.get(action="blob.damaged").target_id == str(blob.pk)
    assert "blob_damaged" in caplog.text
    write_object(default_driver(), blob.storage_key, original)
    carry_out_kind()
    blob.refresh_from_db()
    assert blob.damaged_at is None
    assert AuditEntry.objects.filter(action="blob.healed").exists()


def test_a_stopped_run_keeps_what_it_has_verified_and_the_next_goes_on(
    project: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrub_days(settings, 1)
    make_old_blobs(project, 24)
    monkeypatch.setattr(tasks, "REPORT_SECONDS", 0.0)
    run = services.submit("scrub.content", actor=Actor.system())
    reports: list[int] = []
    beat = services.beat

    def stop_after_five(claim: object, **progress: object) -> None:
        reports.append(1)
        if len(reports) == 5:
            services.request_stop(JobRun.objects.get(pk=run.pk), actor=Actor.system())
        beat(claim, **progress)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks.rules, "share_bytes", lambda total, period: total)
    monkeypatch.setattr(services, "beat", stop_after_five)
    carry_out(run_id=str(run.pk))
    run.refresh_from_db()
    assert run.status == "stopped"
    assert Blob.objects.exclude(verified_at=None).count() == 4
    monkeypatch.setattr(services, "beat", beat)
    finished = carry_out_kind()
    assert finished.result is not None
    assert finished.result["sound"] == 20
    assert not Blob.objects.filter(verified_at=None).exists()


def test_it_can_be_switched_off(project: Project, settings: Settings) -> None:
    make_old_blobs(project, 1)
    scrub_days(settings, 0)
    assert carry_out_kind().result == {"switched_off": True}
    assert Blob.objects.get().verified_at is None


def test_manifests_are_compared_in_the_database(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    make_image(project, "v1")
    make_image(project, "v2", layers=(b"other",))
    assert carry_out_kind("scrub.manifests").result == {"manifests": 2, "damaged": 0}
    broken = Manifest.objects.order_by("id")[0]
    payload = bytes(broken.payload).replace(b"layer", b"lager")
    Manifest.objects.filter(pk=broken.pk).update(payload=payload)
    assert carry_out_kind("scrub.manifests").result == {"manifests": 2, "damaged": 1}
    assert "manifest_damaged" in caplog.text
