"""Comparing blobs with their digests, and what is recorded of it, on every sort of storage."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from core.audit.models import AuditEntry
from core.blobs import verification
from core.blobs.errors import TooManyLosses
from core.blobs.models import Blob
from core.blobs.pace import Pace
from core.blobs.verification import KnownBlob, Verdict, Verifier
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.rbac.types import Actor
from core.storage.errors import StorageFailed
from core.storage.filesystem import FilesystemBlobReader
from core.storage.selection import default_driver
from tests.core.storage.s3_server import S3Server
from tests.factories.artifacts import finish, make_blob, make_upload, write_chunk
from tests.factories.storages import DAMAGES, damage, stores, write_object

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = b"some content of a layer"
BEGINNING = (datetime(1, 1, 1, tzinfo=UTC), 0)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(params=["directory", "bucket"])
def storage(
    request: pytest.FixtureRequest, s3_server: S3Server, tmp_path: Path, settings: Settings
) -> Iterator[None]:
    place = tmp_path / "objects" if request.param == "directory" else s3_server
    with stores(settings, place):
        yield


def make_verifier() -> Verifier:
    return Verifier(actor=Actor.system(), pace=Pace(None), on_read=lambda _: None)


def known() -> KnownBlob:
    (blob,) = verification.list_blobs(0, 10)
    return blob


def verify() -> Verdict:
    verifier = make_verifier()
    verdict = verifier.verify(known())
    verifier.flush()
    return verdict


def entries() -> list[tuple[str, dict[str, str]]]:
    found = AuditEntry.objects.filter(action__in=("blob.damaged", "blob.healed"))
    return [(entry.action, entry.detail) for entry in found.order_by("id")]


def test_a_sound_blob_is_verified_and_nothing_else(storage: None, project: Project) -> None:
    make_blob(project, CONTENT)
    assert Blob.objects.get().verified_at is None
    before = now()
    assert verify() is Verdict.SOUND
    blob = Blob.objects.get()
    assert blob.verified_at is not None
    assert blob.verified_at >= before
    assert blob.damaged_at is None
    assert entries() == []


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_found_marked_and_healed_when_the_object_is_back(
    storage: None, project: Project, how: str
) -> None:
    made = make_blob(project, CONTENT)
    original = damage(default_driver(), made.storage_key, how)
    expected = Verdict.MISSING if how == "missing" else Verdict.WRONG
    assert verify() is expected
    assert known().is_marked
    assert verify() is expected
    assert entries() == [("blob.damaged", {"reason": str(expected), "store": "main"})]
    assert [blob.id for blob in verification.list_damaged(0, 10)] == [made.id]
    write_object(default_driver(), made.storage_key, original)
    assert verify() is Verdict.SOUND
    assert not known().is_marked
    assert entries()[1:] == [("blob.healed", {"by": "verification"})]
    assert verification.list_damaged(0, 10) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_content_larger_than_a_piece_is_compared_by_its_own_algorithm(
    storage: None, project: Project, algorithm: str
) -> None:
    content = bytes(range(256)) * 9_000
    upload = make_upload(project, algorithm=algorithm)
    write_chunk(upload, content)
    finish(upload, Digest.of(content, algorithm))
    read: list[int] = []
    verdict = verification.examine(known(), pace=Pace(None), on_read=read.append)
    assert verdict is Verdict.SOUND
    assert sum(read) == len(content)
    assert len(read) > 2


def test_a_blob_healed_meanwhile_is_left_alone(
    project: Project, storage_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_blob(project, CONTENT)
    damage(default_driver(), made.storage_key, "flipped")
    stale = known()
    (storage_root / made.storage_key).unlink()
    make_blob(project, CONTENT, "other")
    verifier = make_verifier()
    assert verifier.verify(stale) is Verdict.MISSING
    assert not known().is_marked
    assert known().storage_key != made.storage_key
    verification.confirm([stale])
    assert not verification.clear(stale, actor=Actor.system())
    assert [action for action, _ in entries()] == ["blob.healed"]


def test_a_blob_removed_meanwhile_is_left_alone(project: Project) -> None:
    make_blob(project, CONTENT)
    stale = known()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM artifacts_repositoryblob")
    Blob.objects.all().delete()
    assert verification.find_blob(stale.id) is None
    assert not verification.mark(stale, Verdict.MISSING, actor=Actor.system())
    assert entries() == []


def test_a_storage_that_fails_proves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_blob(project, CONTENT)

    def fail(reader: FilesystemBlobReader, offset: int, length: int) -> bytes:
        raise StorageFailed

    monkeypatch.setattr(FilesystemBlobReader, "read", fail)
    assert verify() is Verdict.UNREADABLE
    blob = Blob.objects.get()
    assert (blob.verified_at, blob.damaged_at) == (None, None)


def test_a_storage_that_is_not_configured_proves_nothing(project: Project) -> None:
    make_blob(project, CONTENT)
    Blob.objects.update(store="gone")
    assert verify() is Verdict.UNREADABLE
    assert Blob.objects.get().damaged_at is None


def test_an_empty_storage_does_not_cost_the_database(project: Project) -> None:
    for number in range(110):
        make_blob(project, str(number).encode())
    for blob in Blob.objects.all():
        default_driver().delete(blob.storage_key)
    verifier = make_verifier()
    with pytest.raises(TooManyLosses):
        list(map(verifier.verify, verification.list_blobs(0, 200)))
    assert Blob.objects.filter(damaged_at=None).count() >= 9


def test_what_was_verified_longest_ago_comes_first(project: Project) -> None:
    made = [make_blob(project, str(number).encode()).id for number in range(4)]
    moment = now()
    Blob.objects.filter(pk=made[0]).update(verified_at=moment - timedelta(days=1))
    Blob.objects.filter(pk=made[1]).update(created_at=moment - timedelta(days=9))
    Blob.objects.filter(pk=made[2]).update(
        created_at=moment - timedelta(days=90), verified_at=moment - timedelta(days=5)
    )
    before = moment - timedelta(hours=1)
    found = verification.oldest_verified(BEGINNING, before, 10)
    assert [blob.id for blob, _ in found] == [made[1], made[2], made[0]]
    assert found[1][1] == moment - timedelta(days=5)
    behind = (found[0][1], found[0][0].id)
    page = verification.oldest_verified(behind, before, 1)
    assert [blob.id for blob, _ in page] == [made[2]]


def test_the_oldest_are_found_by_their_index(project: Project) -> None:
    make_blob(project, CONTENT)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        query = verification._OLDEST
        cursor.execute(f"EXPLAIN {query}", (*BEGINNING, now(), 10))
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "blobs_blob_verification" in plan


def test_a_pace_makes_reading_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    pace = Pace(1_000)
    for _ in range(3):
        pace.keep(500)
    assert slept == [0.5, 1.0, 1.5]
    Pace(None).keep(10**12)
    assert len(slept) == 3
