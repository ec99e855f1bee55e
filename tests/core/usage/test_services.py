"""Recounting: what was counted wrongly, by whatever defect, is found, corrected and recorded."""

from contextlib import closing
from typing import Any

import pytest
from django.db import connection

from core.audit import services as audit
from core.audit.models import AuditEntry
from core.database import raw
from core.projects.models import Project
from core.quotas.models import Quota, UsageChange
from core.rbac.types import Actor
from core.usage.errors import RecountRunning
from core.usage.models import ProjectContent
from core.usage.services import reconcile
from core.usage.types import Correction
from tests.factories.artifacts import (
    image_document,
    make_blob,
    make_image,
)
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
IMAGE_BYTES = 7 + len(image_document(b"{}", [b"layer"]))

DEFECTS = [
    ("UPDATE quotas_quota SET used_bytes = used_bytes + 1000", 0, -1000),
    ("UPDATE quotas_quota SET used_bytes = 0", 0, IMAGE_BYTES),
    ("UPDATE usage_projectcontent SET holders = holders + 5", 3, 0),
    ("DELETE FROM usage_projectcontent WHERE is_manifest", 1, 0),
    ("TRUNCATE usage_projectcontent", 3, 0),
    (
        "INSERT INTO usage_projectcontent (project_id, digest, is_manifest, size_bytes, holders)"
        " SELECT id, decode('01', 'hex'), false, 50, 3 FROM projects_project",
        1,
        0,
    ),
]


@pytest.mark.parametrize("hard", [-1, 10_000, 1])
@pytest.mark.parametrize(("defect", "contents", "bytes_"), DEFECTS)
def test_a_defect_is_corrected_and_recorded(
    project: Project, hard: int, defect: str, contents: int, bytes_: int
) -> None:
    make_image(project)
    limit(project, hard)
    with connection.cursor() as cursor:
        cursor.execute(defect)
    done = reconcile(actor=SYSTEM)
    assert done.projects == 1
    assert done.corrections == (Correction(project.pk, "team", contents, bytes_),)
    assert used(project) == truly_held(project) == IMAGE_BYTES
    assert ProjectContent.objects.count() == 3
    entry = AuditEntry.objects.get(action="usage.project.corrected")
    assert entry.detail == {"contents": contents, "bytes": bytes_}
    assert reconcile(actor=SYSTEM).corrections == ()


def test_a_large_project_is_recounted_however_long_it_takes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = []
    record = audit.record

    def look(*args: Any, **kwargs: Any) -> None:
        bounds.append(raw.fetch_all("SHOW statement_timeout")[0][0])
        record(*args, **kwargs)

    for place in (project, make_project("other")):
        make_blob(place, b"content")
    Quota.objects.update(used_bytes=99)
    usual = raw.fetch_all("SHOW statement_timeout")
    monkeypatch.setattr(audit, "record", look)
    assert len(reconcile(actor=SYSTEM).corrections) == 2
    assert bounds == ["0", "0"]
    assert raw.fetch_all("SHOW statement_timeout") == usual != [("0",)]


def test_nothing_is_corrected_beside_pushes(project: Project) -> None:
    other = make_project("other")

    def work(number: int) -> object:
        if number % 4 == 0:
            return reconcile(actor=SYSTEM)
        return make_blob((project, other)[number % 2], b"%d" % number, f"app-{number % 3}")

    for _ in range(3):
        for result in at_once(12, work):
            if not isinstance(result, RecountRunning):
                assert getattr(result, "corrections", ()) == ()
    assert not AuditEntry.objects.filter(action="usage.project.corrected").exists()


def test_one_recount_at_a_time(project: Project) -> None:
    other = connection.copy()
    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('core.usage.recount', 0))")
        with pytest.raises(RecountRunning):
            reconcile(actor=SYSTEM)
        # The end of a session takes as long as it takes.
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended('core.usage.recount', 0))")
    assert reconcile(actor=SYSTEM).projects == 1


def test_a_correction_of_a_limited_project_reaches_its_row(project: Project) -> None:
    make_blob(project, b"content")
    limit(project, 100)
    Quota.objects.update(used_bytes=99)
    seen: list[int] = []
    reconcile(actor=SYSTEM, on_project=seen.append)
    assert (Quota.objects.get().used_bytes, UsageChange.objects.count()) == (7, 0)
    assert seen == [1]
