"""``roadstead fsck`` on each sort of damage, and beside a registry at work."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from core.artifacts.models import Manifest, ManifestReference, RepositoryBlob, Tag
from core.audit.models import AuditEntry
from core.blobs.models import Blob, CondemnedObject, Upload
from core.blobs.services import STRAY_AGE, sweep_condemned
from core.blobs.unconfigured import rename_store
from core.common import clock
from core.integrity import contents
from core.integrity.commands import app
from core.projects.models import Project
from core.rbac.types import Actor
from core.storage.errors import StorageFailed
from core.storage.filesystem import FilesystemDriver
from core.storage.selection import default_driver
from tests.core.blobs.test_services import store_stray
from tests.core.storage.s3_server import S3Server
from tests.factories.artifacts import make_blob, make_image, make_upload, write_chunk
from tests.factories.projects import make_project
from tests.factories.storages import DAMAGES, damage, stores, write_object

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"content of a layer"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(params=["directory", "bucket"])
def any_storage(
    request: pytest.FixtureRequest, s3_server: S3Server, tmp_path: Path, settings: Settings
) -> Iterator[None]:
    place = tmp_path / "objects" if request.param == "directory" else s3_server
    with stores(settings, place):
        yield


@pytest.fixture
def storage(tmp_path: Path, settings: Settings) -> Iterator[None]:
    with stores(settings, tmp_path / "objects"):
        yield


@pytest.fixture
def project(db: None) -> Project:
    return make_project("team")


@pytest.fixture
def two_days_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let objects that were stored just now be old enough for the sweep."""
    later = clock.now() + STRAY_AGE + timedelta(hours=1)
    monkeypatch.setattr(contents, "now", lambda: later)
    monkeypatch.setattr("core.integrity.commands.now", lambda: later)


def fsck(*arguments: str) -> tuple[int, Any]:
    """Run it and return exit code and document."""
    result = CliRunner().invoke(app, ["--json", *arguments])
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, json.loads(result.stdout)


def kinds(*arguments: str) -> list[str]:
    """Run it and return the kinds of its problems; the exit code must say the same."""
    code, document = fsck(*arguments)
    assert document["is_sound"] == (code == 0) == (document["problems"] == [])
    assert all(problem["advice"] for problem in document["problems"])
    return [problem["kind"] for problem in document["problems"]]


def test_a_sound_registry(any_storage: None, project: Project) -> None:
    make_image(project, "v1")
    make_image(project, "v2", layers=(CONTENT,))
    write_chunk(make_upload(project), b"in progress")
    code, document = fsck("--read-content")
    assert code == 0
    assert document == {
        "is_sound": True,
        "checked": {
            "manifests": 2,
            "blobs_read": 3,
            "objects": 3,
            "unfinished_uploads": 1,
            "blobs": 3,
            "bytes": 2 + 5 + len(CONTENT),
        },
        "problems": [],
    }
    assert not Blob.objects.filter(verified_at=None).exists()


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_content(any_storage: None, project: Project, how: str) -> None:
    made = make_blob(project, CONTENT)
    original = damage(default_driver(), made.storage_key, how)
    expected = {"missing": "blob-missing", "short": "blob-size", "flipped": "blob-content"}[how]
    # Other bytes of the same length show only when they are read.
    assert kinds() == ([] if how == "flipped" else [expected])
    assert not Blob.objects.exclude(damaged_at=None).exists()
    assert kinds("--read-content") == [expected]
    assert Blob.objects.exclude(damaged_at=None).exists()
    assert kinds() == [expected]
    make_blob(project, CONTENT, "pushed-again")
    assert kinds("--read-content") == []
    CondemnedObject.objects.update(kept_until=clock.now())
    assert sweep_condemned() == 1
    assert kinds("--read-content") == []
    assert original == CONTENT


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("arguments", [(), ("--read-content", "--megabytes-per-second", "100")])
def test_content_that_is_restored_loses_its_mark(
    storage: None, project: Project, how: str, arguments: tuple[str, ...]
) -> None:
    made = make_blob(project, CONTENT)
    damage(default_driver(), made.storage_key, how)
    assert len(kinds("--read-content")) == 1
    write_object(default_driver(), made.storage_key, CONTENT)
    code, document = fsck(*arguments)
    assert (code, document["checked"]["blobs_healed"]) == (0, 1)
    assert Blob.objects.get().damaged_at is None
    assert AuditEntry.objects.filter(action="blob.healed").count() == 1
    assert "blobs_healed" not in fsck(*arguments)[1]["checked"]


def test_more_damage_than_would_be_suspected_is_reported_once_it_is_known(
    storage: None, project: Project
) -> None:
    for number in range(101):
        made = make_blob(project, f"{number:05}".encode())
        default_driver().delete(made.storage_key)
    assert CliRunner().invoke(app, ["--read-content"]).exit_code == 3
    Blob.objects.update(damaged_at=clock.now())
    for arguments in ((), ("--read-content",)):
        assert kinds(*arguments) == ["blob-missing"] * 101


@pytest.mark.usefixtures("two_days_later")
def test_strays(any_storage: None, project: Project) -> None:
    make_blob(project, CONTENT)
    store_stray()
    unfinished = make_upload(project)
    write_chunk(unfinished, b"unfinished")
    Upload.objects.filter(pk=unfinished.id).delete()
    assert kinds() == ["stray-object", "stray-upload"]
    assert kinds("--remove-strays") == []
    assert len(list(default_driver().list_blobs())) == 1


def test_young_strays_are_no_problem(storage: None, project: Project) -> None:
    store_stray()
    assert kinds("--remove-strays") == []
    assert fsck()[1]["checked"]["strays_younger_than_48_hours"] == 1
    assert len(list(default_driver().list_blobs())) == 1


def test_an_older_database_is_suspected_right_after_it_was_restored(
    storage: None, project: Project
) -> None:
    for _ in range(101):
        store_stray()
    assert kinds("--remove-strays") == ["suspicious-strays"]
    assert len(list(default_driver().list_blobs())) == 101


@pytest.mark.usefixtures("two_days_later")
def test_an_older_database_is_suspected_and_nothing_removed(
    storage: None, project: Project
) -> None:
    for _ in range(101):
        store_stray()
    code, document = fsck()
    assert code == 1
    (problem,) = document["problems"]
    assert problem["kind"] == "suspicious-strays"
    assert problem["detail"] == "101 of 101 objects"
    refused = CliRunner().invoke(app, ["--remove-strays"])
    assert refused.exit_code == 3
    assert "nothing was removed" in refused.stderr
    assert len(list(default_driver().list_blobs())) == 101


def break_payload() -> None:
    manifest = Manifest.objects.get()
    payload = bytes(manifest.payload).replace(b"layer", b"lager")
    Manifest.objects.update(payload=payload)


def lose_blob_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM blobs_blob WHERE size_bytes = %s", [len(CONTENT)])


def lose_link() -> None:
    RepositoryBlob.objects.filter(blob__size_bytes=len(CONTENT)).delete()


def confuse_blobs() -> None:
    config = Blob.objects.get(size_bytes=2)
    ManifestReference.objects.filter(role="layer").update(blob=config)


def move_tag() -> None:
    Tag.objects.update(digest=b"\x01" + bytes(32))


def condemn_blob() -> None:
    blob = Blob.objects.get(size_bytes=2)
    CondemnedObject.objects.create(
        storage_key=blob.storage_key,
        store=blob.store,
        condemned_at=clock.now(),
        kept_until=clock.now(),
    )


def lose_store() -> None:
    Blob.objects.filter(size_bytes=2).update(store="gone", storage_key="blobs/00/" + 32 * "0")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (break_payload, ["manifest-payload"]),
        (lose_blob_row, ["manifest-reference", "link", "stray-object"]),
        (lose_link, ["manifest-reference"]),
        (confuse_blobs, ["manifest-reference"]),
        (move_tag, ["tag"]),
        (condemn_blob, ["condemned-blob"]),
        (lose_store, ["blob-store", "stray-object"]),
    ],
)
@pytest.mark.usefixtures("two_days_later")
def test_rows_that_contradict_each_other(
    storage: None, project: Project, spoil: Callable[[], None], expected: list[str]
) -> None:
    make_image(project, "v1", layers=(CONTENT,))
    Upload.objects.all().delete()
    assert kinds() == []
    with foreign_keys_gone("blobs_blob"):
        spoil()
        found = kinds()
        # Reading what there is finds nothing else.
        assert kinds("--read-content") == found
    assert sorted(found) == sorted(expected)


@contextmanager
def foreign_keys_gone(table: str) -> Iterator[None]:
    """Let rows point at nothing, as after a restore that left the constraints out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = %s::regclass",
            [table],
        )
        constraints = cursor.fetchall()
        for owner, name, _ in constraints:
            cursor.execute(f"ALTER TABLE {owner} DROP CONSTRAINT {name}")
        try:
            yield
        finally:
            for owner, name, definition in constraints:
                cursor.execute(f"ALTER TABLE {owner} ADD CONSTRAINT {name} {definition} NOT VALID")


def test_a_name_that_was_lost_is_one_problem(
    storage: None, project: Project, settings: Settings
) -> None:
    for content in (b"one", b"two"):
        make_blob(project, content)
    settings.STORAGE_NAME = "bucket"
    for arguments in ((), ("--read-content",)):
        _, document = fsck(*arguments)
        (problem,) = document["problems"]
        assert (problem["kind"], problem["where"]) == ("store-name", "main")
        assert problem["detail"] == "2 blobs: set ROADSTEAD_STORAGE_NAME=main"
    assert "main  (2 blobs: set ROADSTEAD_STORAGE_NAME=main)" in CliRunner().invoke(app).stdout
    make_blob(project, b"three")
    (problem,) = fsck()[1]["problems"]
    assert problem["detail"] == "2 blobs: run `roadstead storage rename main bucket`"
    assert rename_store("main", "bucket", actor=Actor.system()) == 2
    assert kinds() == []
    Blob.objects.update(store="main")
    settings.STORAGE_NAME = "main"
    assert kinds() == []


def test_a_storage_that_cannot_be_read(
    storage: None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_blob(project, CONTENT)

    def fail(driver: FilesystemDriver, key: str) -> None:
        raise StorageFailed

    with monkeypatch.context() as patched:
        patched.setattr(FilesystemDriver, "open_blob", fail)
        assert kinds("--read-content") == ["blob-unreadable"]
    monkeypatch.setattr(FilesystemDriver, "list_blobs", lambda driver: fail(driver, ""))
    unfinished = CliRunner().invoke(app)
    assert unfinished.exit_code == 3
    assert "could not be carried out" in unfinished.stderr


def test_people_get_numbers_and_advice(storage: None, project: Project) -> None:
    sound = CliRunner().invoke(app)
    assert sound.exit_code == 0
    assert "No problems." in sound.stdout
    for number in range(25):
        made = make_blob(project, f"{number:05}".encode())
        default_driver().delete(made.storage_key)
    result = CliRunner().invoke(app)
    assert result.exit_code == 1
    assert "A blob has no object (25):" in result.stdout
    assert "and 5 more" in result.stdout
    assert "restore the object from a backup and run `roadstead fsck` again" in result.stdout
    assert result.stdout.rstrip().endswith("Problems: 25.")


def test_nothing_is_reported_while_pushes_heals_and_removals_go_on(
    storage: None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every listing is made as stale as can be: the registry works on between any two steps."""
    stop = threading.Event()
    pushed: list[int] = []

    def work() -> None:
        try:
            while not stop.is_set():
                content = os.urandom(20)
                made = make_blob(project, content, "busy")
                make_image(project, "latest", layers=(content,), path="busy")
                Blob.objects.filter(pk=made.id).update(damaged_at=clock.now())
                make_blob(project, content, "busy")
                CondemnedObject.objects.update(kept_until=clock.now())
                sweep_condemned()
                pushed.append(made.id)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(5):
            start = len(pushed)
            assert [kind for kind in kinds("--read-content") if kind != "blob-content"] == []
            while len(pushed) == start:
                assert worker.is_alive()
    finally:
        stop.set()
        worker.join()
    assert kinds("--read-content") == []
    assert len(pushed) >= 5
