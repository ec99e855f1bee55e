"""Many at once at one limit, on real connections."""

from itertools import cycle

import pytest

from core.artifacts.errors import ContentInUse, ManifestUnknown, NameUnknown
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.types import StoredBlob
from core.blobs.errors import UploadUnknown
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.quotas.errors import QuotaExceeded
from core.quotas.models import Quota
from core.quotas.services import fold_usage
from core.rbac.types import Actor
from core.usage.services import reconcile
from tests.factories.artifacts import (
    PUSHER,
    finish,
    image_document,
    make_blob,
    make_upload,
    push,
    write_chunk,
)
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

CROWD = 24


def test_so_many_uploads_succeed_as_fit(project: Project) -> None:
    limit(project, 105)
    contents = [b"content %02d" % number for number in range(CROWD)]
    uploads = [make_upload(project, f"app-{number % 3}") for number in range(CROWD)]
    for upload, content in zip(uploads, contents, strict=True):
        write_chunk(upload, content)
    results = at_once(CROWD, lambda n: finish(uploads[n], Digest.of(contents[n])))
    assert sum(isinstance(result, StoredBlob) for result in results) == 10
    assert sum(isinstance(result, QuotaExceeded) for result in results) == CROWD - 10
    assert used(project) == truly_held(project) == 100


def test_one_blob_for_many_repositories_counts_once(project: Project) -> None:
    limit(project, 10)
    uploads = [make_upload(project, f"app-{number}") for number in range(CROWD)]
    results = at_once(CROWD, lambda n: finish(uploads[n], Digest.of(b"content"), b"content"))
    assert all(isinstance(result, StoredBlob) for result in results)
    assert used(project) == 7


def test_a_limit_that_is_set_while_others_push_holds_from_then_on(project: Project) -> None:
    """Whoever commits before the limit is counted in it, whoever commits after is judged by it."""
    quota = Quota.objects.get(project=project)
    contents = [b"content %02d" % number for number in range(CROWD)]
    uploads = [make_upload(project) for _ in contents]

    def work(number: int) -> object:
        if number == 0:
            return limit(project, 50)
        return finish(uploads[number], Digest.of(contents[number]), contents[number])

    results = at_once(CROWD, work)
    stored = sum(isinstance(result, StoredBlob) for result in results)
    assert used(project) == truly_held(project) == stored * 10
    quota.refresh_from_db()
    assert quota.used_bytes == used(project)
    if stored > 5:
        assert sum(isinstance(result, QuotaExceeded) for result in results) == CROWD - 1 - stored
    for number in range(2):
        with pytest.raises(QuotaExceeded):
            make_blob(project, b"x" * (51 - min(50, used(project)) + number))


def test_usage_is_exact_after_everything_at_once(project: Project) -> None:
    """Pushes, deletes, limits that come and go, sums and recounts, in two projects."""
    other = make_project("other")
    document = image_document(b"{}", [b"layer"])
    projects = (project, other)
    limits = cycle([10_000, -1])

    def work(number: int) -> object:
        where, path = projects[number % 2], f"app-{number % 3}"
        match number % 8:
            case 0:
                return fold_usage(now())
            case 1:
                return limit(where, next(limits))
            case 2:
                return delete_repository(f"{where.name}/{path}", actor=PUSHER)
            case 3:
                return delete_manifest(f"{where.name}/{path}", Digest.of(document), actor=PUSHER)
            case 4:
                return reconcile(actor=Actor.system())
            case _:
                make_blob(where, b"{}", path)
                make_blob(where, b"layer", path)
                return push(where, document, "v1", path)

    for _ in range(4):
        results = at_once(CROWD, work)
        unexpected = [
            result
            for result in results
            if isinstance(result, Exception)
            and not isinstance(result, NameUnknown | ManifestUnknown | UploadUnknown | ContentInUse)
            and type(result).__name__ not in ("ManifestBlobUnknown", "RecountRunning")
        ]
        assert unexpected == []
        for each in projects:
            assert used(each) == truly_held(each)
    assert reconcile(actor=Actor.system()).corrections == ()
