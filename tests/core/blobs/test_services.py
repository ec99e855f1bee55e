"""Starting and finding uploads; sweeping what is left of them."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import transaction

from core.blobs import claims
from core.blobs.errors import (
    AlgorithmUnsupported,
    ProjectUnknown,
    TooManyStrays,
    UploadTaken,
    UploadUnknown,
)
from core.blobs.models import Blob, CondemnedObject, Upload
from core.blobs.services import (
    STRAY_AGE,
    forget_writers,
    get_upload,
    open_session,
    start_upload,
    sweep_condemned,
    sweep_strays,
    sweep_uploads,
)
from core.blobs.storing import StoredAt, condemn_locked
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.projects.services import delete_project
from core.rbac.types import Actor
from core.storage.errors import StorageFailed
from core.storage.filesystem import FilesystemDriver
from core.storage.keys import key_for_upload
from core.storage.selection import default_driver
from tests.factories.artifacts import (
    finish,
    make_upload,
    stored_files,
    write_chunk,
)
from tests.factories.projects import make_project
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timedelta(days=8)


def store_stray(content: bytes = b"stray", *, committed: bool = True) -> str:
    """Put an object into the storage that no row names."""
    driver, key = default_driver(), key_for_upload(uuid4())
    writer = driver.open_writer(key, driver.start(key), 0)
    writer.write(content)
    state = writer.sync()
    writer.close()
    if committed:
        driver.commit(key, state, len(content))
    return key


def test_a_fresh_upload_is_empty_and_its_owners_alone(project: Project) -> None:
    upload = make_upload(project)
    found = get_upload(upload.id, repository_name="team/app", owner=upload.owner)
    assert (found, found.size_bytes) == (upload, 0)
    for name, owner in (("team/other", upload.owner), ("team/app", "user:8")):
        with pytest.raises(UploadUnknown):
            get_upload(upload.id, repository_name=name, owner=owner)
        with pytest.raises(UploadUnknown):
            open_session(upload.id, repository_name=name, owner=owner, expected_offset=None)


@pytest.mark.parametrize("algorithm", ["md5", "sha256x", "SHA256", ""])
def test_an_unknown_algorithm_is_refused(project: Project, algorithm: str) -> None:
    with pytest.raises(AlgorithmUnsupported):
        make_upload(project, algorithm=algorithm)


def test_an_upload_needs_its_project(project: Project) -> None:
    with pytest.raises(ProjectUnknown):
        start_upload(project_id=project.pk + 1, repository_name="no/app", actor_subject="user:7")


def test_an_upload_waits_for_the_deletion_of_its_project(project: Project) -> None:
    is_deleted = threading.Event()

    def work(number: int) -> object:
        if number == 0:
            with transaction.atomic():
                Project.objects.select_for_update().get(pk=project.pk).delete()
                is_deleted.set()
                wait_for_lock()
            return None
        assert is_deleted.wait(30)
        return make_upload(project)

    _, started = at_once(2, work)
    assert isinstance(started, ProjectUnknown)
    assert not Upload.objects.exists()


def test_a_deleted_project_leaves_no_bytes(project: Project) -> None:
    kept = make_upload(make_project("other"), "other/app")
    uploads = [make_upload(project) for _ in range(101)]
    for upload in uploads:
        write_chunk(upload, b"content")
    delete_project(project, actor=Actor.system())
    assert sweep_uploads(now() + timedelta(seconds=1)) == 101
    assert [row.pk for row in Upload.objects.all()] == [kept.id]
    assert stored_files() == []
    assert sweep_strays(now() + LATER) == 0


def test_an_expired_upload_is_unknown_and_swept_with_its_bytes(project: Project) -> None:
    expired, open_still = make_upload(project), make_upload(project)
    for upload in (expired, open_still):
        write_chunk(upload, b"content")
    Upload.objects.filter(pk=expired.id).update(expires_at=now())
    with pytest.raises(UploadUnknown):
        get_upload(expired.id, repository_name="team/app", owner=expired.owner)
    assert sweep_uploads(now()) == 1
    assert [row.pk for row in Upload.objects.all()] == [open_still.id]
    assert len(stored_files()) == 1
    assert finish(open_still, Digest.of(b"content")).size_bytes == 7


def test_a_tombstone_goes_and_its_blob_stays(project: Project) -> None:
    upload = make_upload(project)
    blob = finish(upload, Digest.of(b"content"), b"content")
    before = stored_files()
    assert sweep_uploads(now() + timedelta(minutes=59)) == 0
    assert sweep_uploads(now() + timedelta(minutes=61)) == 1
    assert stored_files() == before
    assert default_driver().stat(blob.storage_key) == 7


def test_a_sweep_stops_at_its_limit(project: Project) -> None:
    for _ in range(3):
        make_upload(project)
    assert sweep_uploads(now() + LATER, limit=2) == 2
    assert Upload.objects.count() == 1


def test_an_upload_at_work_is_not_swept(project: Project) -> None:
    upload = make_upload(project)
    with open_session(
        upload.id, repository_name="team/app", owner=upload.owner, expected_offset=0
    ) as session:
        session.write(b"content")
        assert sweep_uploads(now() + LATER) == 0
        assert session.checkpoint() == 7


def test_an_upload_whose_bytes_cannot_go_keeps_its_row(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, fine = make_upload(project), make_upload(project)
    abort = FilesystemDriver.abort

    def fail_once(driver: FilesystemDriver, key: str, state: dict[str, object]) -> None:
        if key == key_for_upload(stuck.id):
            raise StorageFailed
        abort(driver, key, state)

    monkeypatch.setattr(FilesystemDriver, "abort", fail_once)
    assert sweep_uploads(now() + LATER) == 1
    assert not Upload.objects.filter(pk=fine.id).exists()
    monkeypatch.undo()
    assert sweep_uploads(now() + LATER) == 1
    assert not Upload.objects.exists()


@pytest.mark.parametrize("delay_milliseconds", [0, 5, 10, 15, 20, 30])
def test_a_sweep_racing_a_late_chunk_leaves_one_clean_winner(
    project: Project, delay_milliseconds: int
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"content")
    Upload.objects.update(expires_at=now() + timedelta(milliseconds=15))

    def work(number: int) -> object:
        if number == 0:
            deadline = time.monotonic() + 0.05
            swept, is_over = 0, False
            while not is_over:
                # The last sweep comes when the upload has expired, however long others take.
                is_over = time.monotonic() > deadline
                swept += sweep_uploads(now())
            return swept
        time.sleep(delay_milliseconds / 1000)
        return write_chunk(upload, b" more", offset=7)

    swept, written = at_once(2, work)
    if swept:
        assert isinstance(written, UploadUnknown)
        assert not Upload.objects.exists()
        assert stored_files() == []
    else:
        assert written == 12
        assert finish(upload, Digest.of(b"content more")).size_bytes == 12


def test_strays_go_when_they_are_old_enough(project: Project) -> None:
    blob = finish(make_upload(project), Digest.of(b"kept"), b"kept")
    unfinished = make_upload(project)
    write_chunk(unfinished, b"kept as well")
    before = stored_files()
    store_stray()
    store_stray(committed=False)
    assert sweep_strays(now()) == 0
    assert sweep_strays(now() + STRAY_AGE + timedelta(minutes=1)) == 2
    assert stored_files() == before
    Upload.objects.filter(pk=unfinished.id).delete()
    assert sweep_strays(now() + STRAY_AGE + timedelta(minutes=1)) == 1
    assert default_driver().stat(blob.storage_key) == 4


def test_a_blob_whose_upload_row_is_gone_is_no_stray(project: Project) -> None:
    blob = finish(make_upload(project), Digest.of(b"kept"), b"kept")
    sweep_uploads(now() + LATER)
    assert not Upload.objects.exists()
    assert sweep_strays(now() + LATER) == 0
    assert default_driver().stat(blob.storage_key) == 4


def test_an_empty_database_does_not_cost_the_storage(project: Project) -> None:
    for _ in range(101):
        store_stray()
    with pytest.raises(TooManyStrays):
        sweep_strays(now() + LATER)
    assert len(list(default_driver().list_blobs())) == 101
    assert not Blob.objects.exists()


def condemn(key: str, *, kept_for: timedelta = timedelta(0), store: str = "main") -> None:
    with transaction.atomic():
        condemn_locked(StoredAt(store, key), kept_for=kept_for)


@pytest.mark.parametrize("committed", [True, False])
def test_condemned_objects_go_when_their_time_has_come(db: None, *, committed: bool) -> None:
    due, kept = store_stray(committed=committed), store_stray()
    condemn(due)
    condemn(kept, kept_for=timedelta(hours=1))
    assert sweep_strays(now() + LATER) == 0
    assert sweep_condemned() == 1
    assert stored_files() == [f"blob {kept}"]
    assert sweep_condemned() == 0


def test_a_condemned_key_on_which_a_blob_stands_is_spared(project: Project) -> None:
    blob = finish(make_upload(project), Digest.of(b"kept"), b"kept")
    condemn(blob.storage_key)
    assert sweep_condemned() == 1
    assert default_driver().stat(blob.storage_key) == 4


def test_storage_that_refuses_is_asked_again_later(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, removed = store_stray(), store_stray()
    condemn(refused)
    condemn(removed)
    condemn(key_for_upload(uuid4()), store="gone")

    def fail_once(driver: FilesystemDriver, key: str) -> None:
        if key == refused:
            raise StorageFailed
        delete(driver, key)

    delete = FilesystemDriver.delete
    with monkeypatch.context() as patched:
        patched.setattr(FilesystemDriver, "delete", fail_once)
        assert sweep_condemned() == 1
    assert stored_files() == [f"blob {refused}"]
    assert sweep_condemned() == 0
    CondemnedObject.objects.update(removing_at=now() - timedelta(hours=2))
    assert sweep_condemned() == 1
    assert stored_files() == []
    assert CondemnedObject.objects.get().store == "gone"


def test_sweeping_side_by_side_removes_each_object_once(db: None) -> None:
    for _ in range(20):
        condemn(store_stray())
    removed = at_once(4, lambda _: sweep_condemned(limit=5))
    assert removed == [5, 5, 5, 5]
    assert stored_files() == []


def test_the_configured_lifetime_counts_from_the_last_byte(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(settings.ROADSTEAD.limits, upload_lifetime_seconds=60)
    monkeypatch.setattr(settings, "ROADSTEAD", replace(settings.ROADSTEAD, limits=limits))
    upload = make_upload(project)
    assert upload.expires_at - upload.created_at == timedelta(seconds=60)
    Upload.objects.filter(pk=upload.id).update(expires_at=now() + timedelta(seconds=5))
    write_chunk(upload, b"one more byte")
    expires_at = Upload.objects.get(pk=upload.id).expires_at
    assert timedelta(seconds=50) < expires_at - now() <= timedelta(seconds=60)


def test_writers_that_a_restart_has_ended_are_not_waited_for(project: Project) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"first")
    where = {"repository_name": upload.repository_name, "owner": upload.owner}
    dead = open_session(upload.id, **where, expected_offset=5)
    with pytest.raises(UploadTaken):
        open_session(upload.id, **where, expected_offset=5)
    assert forget_writers() == 1
    assert write_chunk(upload, b" second", offset=5) == 12
    assert forget_writers() == 0
    with pytest.raises(UploadTaken):
        claims.renew(dead.claim)
    dead.release()
    assert finish(upload, Digest.of(b"first second")).size_bytes == 12
