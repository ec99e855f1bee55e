"""Races between real connections."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction

from core.artifacts.api import artifact_views
from core.artifacts.errors import (
    BlobUnknown,
    ContentInUse,
    ManifestBlobUnknown,
    ManifestUnknown,
    NameUnknown,
    PreconditionFailed,
    TagExists,
)
from core.artifacts.models import (
    Manifest,
    ManifestReference,
    PullRecord,
    Repository,
    RepositoryBlob,
    Tag,
)
from core.artifacts.pulls import fold_pull_records
from core.artifacts.services import bulk
from core.artifacts.services.blobs import delete_blob, find_committed_upload, mount_blob
from core.artifacts.services.bulk import act_in_bulk
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import BulkRequest, BulkSelector, PushedManifest, StoredBlob
from core.blobs.errors import UploadTaken, UploadUnknown
from core.blobs.models import Blob, Upload
from core.common.clock import now
from core.database import raw
from core.oci.digest import Digest
from core.projects.models import Project
from core.storage.selection import default_driver
from tests.core.api.cast import caller_of, errors_of
from tests.factories.artifacts import (
    PUSHER,
    VIEWER,
    find_blob,
    finish,
    image_document,
    index_document,
    make_blob,
    make_image,
    make_upload,
    push,
    stored_files,
    write_chunk,
)
from tests.factories.users import make_user
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = Digest.of(b"content")
CHILD = image_document(b"{}", [b"layer"])


def all_are(results: list[object], *kinds: type) -> bool:
    return all(isinstance(result, kinds) for result in results)


def numbered(number: int) -> bytes:
    """Return one of many different manifests that need no content."""
    document = json.loads(index_document())
    document["annotations"] = {"number": str(number)}
    return json.dumps(document).encode()


@pytest.mark.parametrize("repositories", [1, 50])
def test_fifty_uploads_of_one_blob_leave_one_object(project: Project, repositories: int) -> None:
    uploads = [make_upload(project, f"app-{number % repositories}") for number in range(50)]
    for upload in uploads:
        write_chunk(upload, b"content")
    results = at_once(50, lambda number: finish(uploads[number], CONTENT))
    assert all_are(results, StoredBlob)
    blob = Blob.objects.get()
    assert stored_files() == [f"blob {blob.storage_key}"]
    assert RepositoryBlob.objects.count() == Repository.objects.count() == repositories


def test_uploads_racing_to_heal_a_missing_object_leave_one(project: Project) -> None:
    lost = make_blob(project, b"content")
    default_driver().delete(lost.storage_key)
    uploads = [make_upload(project) for _ in range(10)]
    results = at_once(10, lambda number: finish(uploads[number], CONTENT, b"content"))
    assert all_are(results, StoredBlob)
    blob = Blob.objects.get()
    assert blob.pk == lost.id
    assert stored_files() == [f"blob {blob.storage_key}"]


def test_two_closing_requests_of_one_upload_make_one_commit(project: Project) -> None:
    for number in range(5):
        content = b"content %d" % number
        upload, digest = make_upload(project), Digest.of(content)
        write_chunk(upload, content)
        results = at_once(2, lambda _, u=upload, d=digest: finish(u, d))  # type: ignore[misc]
        assert sum(isinstance(result, StoredBlob) for result in results) == 1
        assert all_are(results, StoredBlob, UploadUnknown, UploadTaken)
        assert find_committed_upload(upload.id, upload.repository_name, upload.owner, digest)


def test_fifty_pushes_to_one_tag_all_stand_in_its_history(project: Project) -> None:
    results = at_once(50, lambda number: push(project, numbered(number), "latest"))
    assert all_are(results, PushedManifest)
    history = list(Tag.objects.order_by("id"))
    assert len(history) == 50
    assert [tag.ended_at is None for tag in history] == [False] * 49 + [True]
    assert all(before.ended_at == after.started_at for before, after in pairwise(history))
    assert {bytes(tag.digest) for tag in history} == {
        result.digest.to_bytes() for result in results if isinstance(result, PushedManifest)
    }


def test_overlapping_tag_lists_do_not_deadlock(project: Project) -> None:
    lists = [["a", "b", "c"], ["c", "b", "a"], ["b", "a"], ["c", "a"]]
    for round_number in range(4):
        results = at_once(
            8,
            lambda number, r=round_number: push(  # type: ignore[misc]
                project, numbered(100 * r + number), extra_tags=lists[number % 4]
            ),
        )
        assert all_are(results, PushedManifest)
    assert Tag.objects.filter(ended_at=None).count() == 3


def test_parallel_first_pushes_make_one_repository(project: Project) -> None:
    results = at_once(20, lambda number: push(project, numbered(number), path="new"))
    assert all_are(results, PushedManifest)
    assert Repository.objects.count() == 1
    assert Manifest.objects.count() == 20


def test_parallel_pushes_of_one_manifest_make_one_row(project: Project) -> None:
    make_blob(project, b"{}")
    results = at_once(20, lambda number: push(project, image_document(), f"t{number % 3}"))
    assert all_are(results, PushedManifest)
    assert [r.created for r in results if isinstance(r, PushedManifest)].count(True) == 1
    assert ManifestReference.objects.count() == 1
    assert Tag.objects.count() == 3


def test_of_many_guarded_pushes_one_wins(project: Project) -> None:
    results = at_once(10, lambda number: push(project, numbered(number), "v1", if_none_match="*"))
    assert sum(isinstance(result, PushedManifest) for result in results) == 1
    assert sum(isinstance(result, PreconditionFailed) for result in results) == 9
    assert Manifest.objects.count() == 1


def test_deleting_a_tag_while_it_is_pushed(project: Project) -> None:
    push(project, numbered(0), "v1")

    def work(number: int) -> object:
        if number % 2:
            return delete_tag("team/app", "v1", actor=PUSHER)
        return push(project, numbered(number), "v1")

    for _ in range(5):
        results = at_once(8, work)
        assert all_are(results, PushedManifest, ManifestUnknown, type(None))
        live = Tag.objects.filter(ended_at=None)
        assert live.count() <= 1
        assert all(tag.manifest_id is not None for tag in live)


def test_deleting_a_tag_that_points_at_one_manifest_while_it_moves(project: Project) -> None:
    def work(number: int) -> object:
        if number % 2:
            return delete_tag("team/app", "v1", expected=Digest.of(numbered(0)), actor=PUSHER)
        return push(project, numbered(number + 1), "v1")

    for _ in range(5):
        push(project, numbered(0), "v1")
        results = at_once(8, work)
        assert all_are(results, PushedManifest, ManifestUnknown, PreconditionFailed, type(None))
        live = Tag.objects.get(ended_at=None)
        assert bytes(live.digest) != Digest.of(numbered(0)).to_bytes()


def test_a_tag_that_moves_after_it_was_chosen_is_not_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = [push(project, numbered(0), "v1")]

    def delete_late(*args: Any, **kwargs: Any) -> None:
        document = numbered(len(pushed))
        (moved,) = at_once(1, lambda _: push(project, document, "v1"))
        assert isinstance(moved, PushedManifest)
        pushed.append(moved)
        delete_tag(*args, **kwargs)

    for place in (bulk, artifact_views):
        monkeypatch.setattr(place, "delete_tag", delete_late)
    repository = Repository.objects.get()
    for request in (
        BulkRequest("untag", tags=("v1",)),
        BulkRequest("untag", selector=BulkSelector(tag_pattern="v*")),
        BulkRequest("untag", digests=(Digest.of(numbered(2)),)),
    ):
        (outcome,) = act_in_bulk(repository, request, actor=PUSHER)
        assert isinstance(outcome.refusal, PreconditionFailed)
        assert outcome.digest == pushed[-2].digest
    admin = caller_of(make_user("boss", is_system_admin=True))
    for reference in (pushed[-1].digest, "v1"):
        path = f"/projects/team/repositories/app/artifacts/{reference}/tags/v1"
        answer = admin.delete(path)
        assert answer.status_code == 404
        assert errors_of(answer)[0]["message"] == "The artifact has no tag v1."
    live = Tag.objects.get(ended_at=None)
    assert bytes(live.digest) == pushed[-1].digest.to_bytes()
    assert Tag.objects.count() == len(pushed) == 6


def test_deleting_a_manifest_while_its_tags_move(project: Project) -> None:
    def work(number: int) -> object:
        if number % 3 == 0:
            return delete_manifest("team/app", Digest.of(numbered(1)), actor=PUSHER)
        return push(project, numbered(number % 3), extra_tags=["a", "b"])

    push(project, numbered(1), extra_tags=["a", "b"])
    for _ in range(5):
        results = at_once(9, work)
        assert all_are(results, PushedManifest, ManifestUnknown, tuple)
        dangling = Tag.objects.filter(ended_at=None).exclude(
            manifest_id__in=Manifest.objects.values("id")
        )
        assert not dangling.exists()


def test_deleting_a_child_while_its_index_is_pushed(project: Project) -> None:
    for round_number in range(6):
        path = f"app-{round_number}"
        make_image(project, path=path)

        def work(number: int, path: str = path) -> object:
            if number:
                return push(project, index_document(CHILD), "all", path)
            return delete_manifest(f"team/{path}", Digest.of(CHILD), actor=PUSHER)

        deleted, pushed = at_once(2, work)
        assert isinstance(pushed, PushedManifest)
        assert deleted == () or isinstance(deleted, ContentInUse)
        (child,) = ManifestReference.objects.filter(parent=pushed.id).values_list(
            "child", flat=True
        )
        assert (child is None) == (deleted == ())


def test_deleting_a_blob_while_a_manifest_names_it(project: Project) -> None:
    for round_number in range(6):
        path = f"app-{round_number}"
        make_blob(project, b"{}", path)

        def work(number: int, path: str = path) -> object:
            if number:
                return push(project, image_document(), "v1", path)
            return delete_blob(f"team/{path}", Digest.of(b"{}"), actor=PUSHER)

        deleted, pushed = at_once(2, work)
        if deleted is None:
            assert isinstance(pushed, ManifestBlobUnknown)
        else:
            assert isinstance(deleted, ContentInUse)
            assert isinstance(pushed, PushedManifest)
            assert find_blob(f"team/{path}", Digest.of(b"{}"), VIEWER).blob is not None


def test_a_push_holds_its_blob_until_it_commits(project: Project) -> None:
    """Both orders of the race, step by step rather than by luck."""
    blob = make_blob(project, b"{}")
    outcome: list[object] = []
    held, may_commit = Event(), Event()

    def pause_with_lock() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM artifacts_repositoryblob WHERE blob_id = %s FOR KEY SHARE",
                [blob.id],
            )
            held.set()
            may_commit.wait(10)
        connection.close()

    def delete() -> None:
        outcome.append(at_once(1, lambda _: delete_blob("team/app", blob.digest, actor=PUSHER))[0])

    holder, deleter = Thread(target=pause_with_lock), Thread(target=delete)
    holder.start()
    assert held.wait(10)
    deleter.start()
    deleter.join(0.5)
    assert outcome == []
    may_commit.set()
    holder.join(10)
    deleter.join(10)
    assert outcome == [None]
    assert not RepositoryBlob.objects.exists()


def test_deleting_a_repository_while_it_is_pushed_to(project: Project) -> None:
    for _ in range(5):
        make_image(project, "v1")
        uploads = [make_upload(project) for _ in range(2)]

        def work(number: int, uploads: list[object] = uploads) -> object:  # type: ignore[assignment]
            if number == 0:
                return delete_repository("team/app", actor=PUSHER)
            if number < 3:
                return finish(uploads[number - 1], CONTENT, b"content")  # type: ignore[arg-type]
            if number < 5:
                return mount(project, "team/app")
            return push(project, image_document(b"{}", [b"layer"]), f"t{number}")

        results = at_once(8, work)
        assert all_are(
            results,
            PushedManifest,
            StoredBlob,
            ManifestBlobUnknown,
            NameUnknown,
            UploadUnknown,
            type(None),
        )
        assert_consistent()


def mount(project: Project, target: str) -> StoredBlob | None:
    return mount_blob(
        Digest.of(b"{}"),
        source="team/app",
        target_name=target,
        project_id=project.pk,
        actor=PUSHER,
        readable=lambda _: True,
    )


def assert_consistent() -> None:
    """Every live tag has its manifest, and every manifest the content it names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM artifacts_tag t LEFT JOIN artifacts_manifest m"
            " ON m.id = t.manifest_id WHERE t.ended_at IS NULL AND m.id IS NULL"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT count(*) FROM artifacts_manifestreference f"
            " JOIN artifacts_manifest m ON m.id = f.parent_id"
            " LEFT JOIN artifacts_repositoryblob l"
            " ON l.repository_id = m.repository_id AND l.blob_id = f.blob_id"
            " WHERE f.blob_id IS NOT NULL AND l.id IS NULL"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT count(*) FROM artifacts_manifestreference f"
            " JOIN artifacts_manifest m ON m.id = f.parent_id"
            " JOIN artifacts_manifest c"
            " ON c.repository_id = m.repository_id AND c.digest = f.digest"
            " WHERE f.role = 'child' AND f.child_id IS NULL"
        )
        assert cursor.fetchone() == (0,)


def record_pulls() -> None:
    repository = Repository.objects.get()
    PullRecord.objects.bulk_create(
        PullRecord(repository_id=repository.pk, manifest_id=manifest, tag_name=tag, pulled_at=now())
        for manifest in Manifest.objects.values_list("id", flat=True)
        for tag in ("v1", "v2", "v3")
    )


def test_everything_at_once_ends_without_deadlock(project: Project) -> None:
    make_image(project, "v1")
    index = index_document(CHILD)

    def work(number: int) -> object:
        match number % 8:
            case 0:
                return push(project, CHILD, extra_tags=["v1", "v2"])
            case 1:
                return push(project, index, "v2")
            case 2:
                return delete_manifest("team/app", Digest.of(index), actor=PUSHER)
            case 3:
                return delete_manifest("team/app", Digest.of(CHILD), actor=PUSHER)
            case 4:
                return delete_tag("team/app", "v1", actor=PUSHER)
            case 5:
                return create_tag("team/app", Digest.of(CHILD), "v3", actor=PUSHER)
            case 6:
                return fold_pull_records(now())
            case _:
                return make_blob(project, b"layer")

    for _ in range(6):
        record_pulls()
        results = at_once(16, work)
        assert all_are(
            results,
            PushedManifest,
            StoredBlob,
            tuple,
            BlobUnknown,
            ContentInUse,
            ManifestBlobUnknown,
            ManifestUnknown,
            TagExists,
            int,
            type(None),
        ), results
        assert_consistent()
    assert not Upload.objects.filter(committed_digest=None).exists()


def test_pulls_are_folded_beside_an_index_of_what_was_pulled(project: Project) -> None:
    """Pulled in one order, listed in another: nobody waits for who waits for them."""
    first, second = push(project, numbered(1)), push(project, numbered(2))
    repository_id = Manifest.objects.values_list("repository_id", flat=True).get(pk=first.id)
    for image in (second, first):
        PullRecord.objects.create(
            repository_id=repository_id, manifest_id=image.id, tag_name="", pulled_at=now()
        )
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            # What pushing an index of both does, child by child.
            mark = "UPDATE artifacts_manifest SET is_child = true WHERE id = %s"
            raw.execute(mark, (first.id,))
            folding = pool.submit(at_once, 1, lambda _: fold_pull_records(now()))
            wait_for_lock()
            raw.execute(mark, (second.id,))
        assert folding.result(30) == [2]
