"""Counting pulls."""

from datetime import timedelta

import pytest

from core.artifacts.models import Manifest, PullRecord, Repository, Tag
from core.artifacts.pulls import fold_pull_records, record_pull
from core.artifacts.services.manifests import delete_manifest
from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from tests.factories.artifacts import (
    PUSHER,
    VIEWER,
    find_manifest,
    make_image,
)
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def pull(project: Project, reference: Digest | str) -> None:
    found = find_manifest("team/app", reference, VIEWER)
    assert found.manifest is not None
    assert found.repository_id is not None
    record_pull(
        actor=PUSHER,
        project_id=project.pk,
        repository_id=found.repository_id,
        repository_name="team/app",
        manifest=found.manifest,
        tag_name=reference if isinstance(reference, str) else "",
    )


def test_a_pull_is_audited_and_counted(project: Project) -> None:
    image = make_image(project, "v1")
    for _ in range(3):
        pull(project, "v1")
    BUFFER.flush()
    assert AuditEntry.objects.filter(action="artifact.pulled").count() == 3
    assert fold_pull_records(now() + timedelta(seconds=1)) == 3
    assert fold_pull_records(now() + timedelta(seconds=1)) == 0
    assert Repository.objects.get().pull_count == 3
    manifest, tag = Manifest.objects.get(pk=image.id), Tag.objects.get()
    assert manifest.last_pulled_at is not None
    assert manifest.last_pulled_at == tag.last_pulled_at


def test_pulls_that_are_alike_are_one_record(project: Project) -> None:
    image = make_image(project, "v1")
    began = now()
    pull(project, "v1")
    BUFFER.flush()
    for reference in ("v1", "v1", image.digest, "v1"):
        last = now()
        pull(project, reference)
    BUFFER.flush()
    records = PullRecord.objects.order_by("tag_name", "pulled_at")
    assert list(records.values_list("tag_name", "pulls")) == [("", 1), ("v1", 1), ("v1", 3)]
    times = [record.pulled_at for record in records]
    assert began <= times[1] <= times[0] <= last <= times[2]
    assert fold_pull_records(now() + timedelta(seconds=1)) == 5
    assert Repository.objects.get().pull_count == 5
    assert Tag.objects.get().last_pulled_at == times[2]


def test_the_latest_pull_counts_whatever_the_order(project: Project) -> None:
    image = make_image(project, "v1")
    late = now() - timedelta(minutes=1)
    for pulled_at in (late, late - timedelta(hours=1)):
        PullRecord.objects.create(
            repository_id=image.repository_id,
            manifest_id=image.id,
            tag_name="",
            pulled_at=pulled_at,
        )
        assert fold_pull_records(now()) == 1
    assert Manifest.objects.get().last_pulled_at == late
    assert Tag.objects.get().last_pulled_at is None
    assert Repository.objects.get().pull_count == 2


def test_pulls_of_what_is_gone_are_dropped(project: Project) -> None:
    image = make_image(project, "v1")
    pull(project, "v1")
    BUFFER.flush()
    delete_manifest("team/app", image.digest, actor=PUSHER)
    assert fold_pull_records(now() + timedelta(seconds=1)) == 1
    assert Repository.objects.get().pull_count == 1


def test_parallel_folds_count_every_pull_once(project: Project) -> None:
    image = make_image(project, "v1")
    PullRecord.objects.bulk_create(
        PullRecord(
            repository_id=image.repository_id,
            manifest_id=image.id,
            tag_name="v1",
            pulled_at=now(),
            pulls=2,
        )
        for _ in range(200)
    )
    at = now() + timedelta(seconds=1)

    def fold(_: int) -> int:
        folded = 0
        while batch := fold_pull_records(at, limit=20):
            folded += batch
        return folded

    results = at_once(4, fold)
    assert sum(result for result in results if isinstance(result, int)) == 400
    assert Repository.objects.get().pull_count == 400
