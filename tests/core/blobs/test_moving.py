"""Moving content between storages of every sort, and what may happen meanwhile."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.audit.models import AuditEntry
from core.blobs import claims, moving, verification
from core.blobs.errors import MigrationStuck, UploadUnknown
from core.blobs.models import Blob, CondemnedObject, Upload
from core.blobs.moving import Migration, Outcome, move_blob
from core.blobs.pace import Pace
from core.blobs.queries import usage_of
from core.blobs.services import open_session, sweep_condemned, sweep_strays, sweep_uploads
from core.blobs.verification import KnownBlob
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.rbac.types import Actor
from core.storage.errors import StorageFailed
from core.storage.filesystem import FilesystemDriver
from core.storage.selection import driver_of, drivers
from tests.core.storage.s3_server import S3Server
from tests.factories.artifacts import (
    PUSHER,
    finish,
    make_blob,
    make_upload,
    write_chunk,
)
from tests.factories.storages import damage, forget_drivers, read_object, stores, write_object
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

CONTENTS = (b"", b"small", os.urandom(3 << 20))
WAYS = ["directory-bucket", "bucket-directory", "directory-directory", "bucket-bucket"]


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(params=WAYS)
def two_stores(
    request: pytest.FixtureRequest, s3_server: S3Server, tmp_path: Path, settings: Settings
) -> Iterator[None]:
    """Storages ``main``, the former, and ``new``."""
    way: str = request.param
    places = [
        tmp_path / place if kind == "directory" else s3_server
        for place, kind in zip(("old", "new"), way.split("-"), strict=True)
    ]
    with stores(settings, places[1], places[0]):
        yield


@pytest.fixture
def two_directories(tmp_path: Path, settings: Settings) -> Iterator[None]:
    with stores(settings, tmp_path / "new", tmp_path / "old"):
        yield


def make_former_blob(project: Project, content: bytes, settings: Settings) -> KnownBlob:
    """Store a blob as it was before the new storage was configured."""
    with former_is_current(settings):
        made = make_blob(project, content)
    found = verification.find_blob(made.id)
    assert found is not None
    assert found.store == "main"
    return found


class former_is_current:  # noqa: N801  # reads as a statement
    """Exchange the two storages: before the switch, or back after it."""

    KINDS = ("NAME", "ROOT", "S3")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def _exchange(self) -> None:
        for kind in self.KINDS:
            ours, theirs = f"STORAGE_{kind}", f"FORMER_STORAGE_{kind}"
            former = getattr(self.settings, theirs)
            setattr(self.settings, theirs, getattr(self.settings, ours))
            setattr(self.settings, ours, former)
        forget_drivers()

    def __enter__(self) -> None:
        self._exchange()

    def __exit__(self, *_: object) -> None:
        self._exchange()


def make_migration(source: str = "main", target: str = "new") -> Migration:
    return Migration(
        source,
        target,
        actor=Actor.system(),
        pace=Pace(None),
        jobs=2,
        on_read=lambda _: None,
    )


def move(blob: KnownBlob) -> Outcome:
    return move_blob(
        blob, target="new", actor=Actor.system(), pace=Pace(None), on_read=lambda _: None
    )


def content_of(blob_id: int) -> bytes:
    blob = verification.find_blob(blob_id)
    assert blob is not None
    return read_object(driver_of(blob.store), blob.storage_key)


def objects(store: str) -> int:
    driver = driver_of(store)
    return len(list(driver.list_blobs())) + len(list(driver.list_uploads()))


def remove_condemned() -> int:
    CondemnedObject.objects.update(kept_until=now())
    return sweep_condemned()


def test_all_content_moves_and_moves_back(
    two_stores: None, project: Project, settings: Settings
) -> None:
    blobs = [make_former_blob(project, content, settings) for content in CONTENTS]
    newer = make_blob(project, b"pushed after the switch")
    assert newer.store == "new"
    migration = make_migration()
    migration.run()
    assert migration.counts[Outcome.MOVED] == sum(migration.counts.values()) == 3
    for blob, content in zip(blobs, CONTENTS, strict=True):
        row = Blob.objects.get(pk=blob.id)
        assert (row.store, row.damaged_at) == ("new", None)
        assert row.storage_key != blob.storage_key
        assert row.verified_at is not None
        assert content_of(blob.id) == content
        # Whoever has looked the blob up before goes on reading.
        assert read_object(driver_of("main"), blob.storage_key) == content
    assert usage_of("main")[1:] == (0, 0, 0, 3)
    # What is known to be removed is no stray, however old.
    assert sweep_strays(now() + timedelta(days=9)) == 0
    assert remove_condemned() == 3
    assert objects("main") == 0
    assert objects("new") == 4

    with former_is_current(settings):
        back = make_migration("new", "main")
        back.run()
        assert back.counts[Outcome.MOVED] == 4
        assert [content_of(blob.id) for blob in blobs] == list(CONTENTS)
        assert remove_condemned() == 4
    assert (objects("main"), objects("new")) == (4, 0)
    moves = AuditEntry.objects.filter(action="blobs.content.moved").order_by("id")
    assert [(entry.target_label, entry.detail["moved"]) for entry in moves] == [
        ("new", 3),
        ("main", 4),
    ]


@pytest.mark.parametrize("how", ["missing", "short", "flipped"])
def test_damaged_content_stays_until_a_push_heals_it(
    two_stores: None, project: Project, settings: Settings, how: str
) -> None:
    blob = make_former_blob(project, CONTENTS[2], settings)
    damage(driver_of("main"), blob.storage_key, how)
    migration = make_migration()
    migration.run()
    assert migration.counts[Outcome.DAMAGED] == 1
    row = Blob.objects.get()
    assert (row.store, row.storage_key) == ("main", blob.storage_key)
    assert row.damaged_at is not None
    assert AuditEntry.objects.filter(action="blob.damaged").count() == 1
    remove_condemned()
    assert objects("new") == 0
    make_blob(project, CONTENTS[2], "other")
    row.refresh_from_db()
    assert (row.store, row.damaged_at) == ("new", None)
    assert content_of(row.pk) == CONTENTS[2]
    remove_condemned()
    assert (objects("main"), objects("new")) == (0, 1)


def test_content_that_was_restored_moves_and_loses_its_mark(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blob = make_former_blob(project, b"content", settings)
    Blob.objects.update(damaged_at=now())
    marked = verification.find_blob(blob.id)
    assert marked is not None
    write_object(driver_of("main"), blob.storage_key, b"content")
    assert move(marked) is Outcome.MOVED
    assert Blob.objects.get().damaged_at is None
    assert AuditEntry.objects.get(action="blob.healed").detail == {"by": "verification"}


def test_readers_keep_what_was_uploaded_just_before_it_moved(
    two_directories: None, settings: Settings, project: Project
) -> None:
    blob = make_former_blob(project, b"content", settings)
    assert move(blob) is Outcome.MOVED
    assert sweep_uploads(now() + timedelta(minutes=61)) == 1
    assert read_object(driver_of("main"), blob.storage_key) == b"content"
    assert remove_condemned() == 1
    assert objects("main") == 0


def test_a_blob_that_changed_meanwhile_is_left_alone(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blob = make_former_blob(project, b"content", settings)
    assert move(blob) is Outcome.MOVED
    moved_to = Blob.objects.get().storage_key
    assert move(blob) is Outcome.CHANGED
    assert Blob.objects.get().storage_key == moved_to
    assert sweep_condemned() == 1
    assert objects("new") == 1
    assert content_of(blob.id) == b"content"


def test_a_blob_found_damaged_while_it_is_copied_keeps_its_mark(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blob = make_former_blob(project, b"content", settings)
    Blob.objects.update(damaged_at=now())
    assert move(blob) is Outcome.CHANGED
    row = Blob.objects.get()
    assert row.store == "main"
    assert row.damaged_at is not None


def test_a_copy_that_the_sweep_has_claimed_is_not_adopted(
    two_directories: None,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blob = make_former_blob(project, b"content", settings)
    copied: list[int] = []

    def sweep_when_copied(name: str) -> None:
        if name == "move.copied":
            copied.append(remove_condemned())

    monkeypatch.setattr(moving.failpoints, "reach", sweep_when_copied)
    assert move(blob) is Outcome.CHANGED
    assert copied == [1]
    row = Blob.objects.get()
    assert (row.store, row.storage_key) == ("main", blob.storage_key)
    assert content_of(blob.id) == b"content"
    assert objects("new") == 0


def test_two_that_move_the_same_blobs_move_each_once(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blobs = [make_former_blob(project, str(n).encode(), settings) for n in range(20)]
    migrations = [make_migration(), make_migration()]
    at_once(2, lambda number: migrations[number].run())
    outcomes = [migration.counts for migration in migrations]
    assert sum(counts[Outcome.MOVED] for counts in outcomes) == 20
    assert sum(counts[Outcome.FAILED] for counts in outcomes) == 0
    assert [content_of(blob.id) for blob in blobs] == [str(n).encode() for n in range(20)]
    remove_condemned()
    assert (objects("main"), objects("new")) == (0, 20)


def test_a_storage_that_fails_once_costs_nothing(
    two_directories: None,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(3):
        make_former_blob(project, str(number).encode(), settings)
    commit = FilesystemDriver.commit
    failures = [StorageFailed()]

    def fail_once(driver: FilesystemDriver, key: str, state: dict[str, object], size: int) -> None:
        if failures:
            raise failures.pop()
        commit(driver, key, state, size)

    monkeypatch.setattr(FilesystemDriver, "commit", fail_once)
    first = make_migration()
    first.run()
    assert (first.counts[Outcome.MOVED], first.counts[Outcome.FAILED]) == (2, 1)
    second = make_migration()
    second.run()
    assert second.counts[Outcome.MOVED] == sum(second.counts.values()) == 1
    remove_condemned()
    assert (objects("main"), objects("new")) == (0, 3)


def test_a_storage_that_is_away_stops_the_migration(
    two_directories: None,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(40):
        make_former_blob(project, str(number).encode(), settings)

    def fail(driver: FilesystemDriver, key: str, state: object, size: int) -> None:
        raise StorageFailed

    monkeypatch.setattr(FilesystemDriver, "open_writer", fail)
    migration = make_migration()
    with pytest.raises(MigrationStuck):
        migration.run()
    assert Blob.objects.filter(store="main", damaged_at=None).count() == 40
    assert migration.counts[Outcome.FAILED] < 30
    assert AuditEntry.objects.filter(action="blobs.content.moved").count() == 1


def test_uploads_end_where_they_began(
    two_stores: None, project: Project, settings: Settings
) -> None:
    with former_is_current(settings):
        upload = make_upload(project)
        write_chunk(upload, b"before, ")
    assert usage_of("main").uploads == 1
    blob = finish(upload, Digest.of(b"before, after"), b"after")
    assert blob.store == "main"
    assert content_of(blob.id) == b"before, after"
    make_migration().run()
    assert usage_of("main")[:4] == ("main", 0, 0, 0)
    assert content_of(blob.id) == b"before, after"


def test_content_that_both_storages_get_is_kept_once(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blob = make_former_blob(project, b"content", settings)
    again = make_blob(project, b"content", "other")
    assert (again.id, again.store) == (blob.id, "main")
    assert objects("new") == 0


def test_an_upload_of_a_storage_that_is_gone_is_unknown(
    two_directories: None, project: Project, settings: Settings
) -> None:
    with former_is_current(settings):
        upload = make_upload(project)
        write_chunk(upload, b"lost")
    settings.FORMER_STORAGE_NAME = None
    assert list(drivers()) == ["new"]
    with pytest.raises(UploadUnknown):
        open_session(
            upload.id,
            repository_name=upload.repository_name,
            owner=PUSHER.subject,
            expected_offset=None,
        )
    # It was let go of, so the sweep can end it once the storage is back.
    Upload.objects.update(expires_at=now())
    assert sweep_uploads(now()) == 0
    settings.FORMER_STORAGE_NAME = "main"
    assert sweep_uploads(now()) == 1
    assert objects("main") == 0


def test_what_was_lost_with_a_storage_is_healed_by_pushing_again(
    two_directories: None, project: Project, settings: Settings
) -> None:
    blob = make_former_blob(project, b"content", settings)
    settings.FORMER_STORAGE_NAME = None
    again = make_blob(project, b"content", "other")
    assert (again.id, again.store) == (blob.id, "new")
    assert content_of(blob.id) == b"content"
    # Should the storage come back, its object is not needed any more.
    assert remove_condemned() == 0
    settings.FORMER_STORAGE_NAME = "main"
    assert remove_condemned() == 1
    assert (objects("main"), objects("new")) == (0, 1)


def test_a_reservation_is_renewed_while_bytes_come(
    two_directories: None,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blob = make_former_blob(project, CONTENTS[2], settings)
    monkeypatch.setattr(moving, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(moving, "RESERVED_FOR", timedelta(seconds=-1))
    kept: list[bool] = []

    def look(read_bytes: int) -> None:
        # It begins in the past; only a renewal can have moved it.
        monkeypatch.setattr(moving, "RESERVED_FOR", timedelta(hours=24))
        kept.append(CondemnedObject.objects.get().kept_until > now() + timedelta(hours=23))

    outcome = move_blob(blob, target="new", actor=Actor.system(), pace=Pace(None), on_read=look)
    assert outcome is Outcome.MOVED
    assert kept == [False, True, True]


def test_claims_carry_the_storage(two_directories: None, project: Project) -> None:
    upload = make_upload(project)
    claim = claims.claim_upload(
        upload.id,
        repository_name=upload.repository_name,
        owner=upload.owner,
        expected_offset=None,
    )
    assert claim is not None
    assert claim.store == "new"
