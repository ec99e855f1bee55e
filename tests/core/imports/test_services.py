"""Imports into a database and a storage."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from core.artifacts import queries
from core.artifacts.models import Manifest, Repository, RepositoryBlob, Tag
from core.artifacts.types import PendingWrite
from core.audit.models import AuditEntry
from core.blobs.models import Blob, Upload
from core.common import failpoints
from core.common.clock import now
from core.common.errors import DomainError, ErrorKind
from core.imports.errors import ImportRunning, SourceInvalid
from core.imports.services import IMPORTER, ImportPlan, import_registry
from core.imports.types import BlobRoute, Tally
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_INDEX
from core.projects.models import Project
from core.rbac.types import Actor
from core.storage.errors import StorageFull
from core.storage.filesystem import FilesystemDriver
from core.storage.selection import default_driver
from tests.core.imports.sources import CONFIG, IMAGE, LAYER, Source
from tests.core.storage.s3_server import S3Server, options_for
from tests.factories.artifacts import (
    image_document,
    index_document,
    make_upload,
    push,
    stored_files,
    write_chunk,
)
from tests.factories.projects import make_project
from tests.factories.storages import DAMAGES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("storage_root"),
]

APP = "team/app"


class Silent:
    """Watches without a word."""

    def __init__(self) -> None:
        self.bytes = 0
        self.names: list[str] = []

    def found(self, repositories: int) -> None:
        self.count = repositories

    def begins(self, repository: str) -> None:
        self.names.append(repository)

    def verified(self, size_bytes: int) -> None:
        self.bytes += size_bytes


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source with an image and an index in one repository, and the image in another."""
    made = Source(tmp_path / "source")
    made.image(APP, "v1", "latest")
    made.manifest(APP, index_document(IMAGE), "all")
    made.image("team/nested/copy", "v1")
    return made


@pytest.fixture
def project() -> Project:
    """The project that the names of the source begin with."""
    return make_project("team")


def take_over(
    source: Source,
    *,
    project: str | None = None,
    create: bool = False,
    dry_run: bool = False,
    watcher: Silent | None = None,
) -> Tally:
    plan = ImportPlan(source.path, project, create, dry_run)
    return import_registry(plan, watcher=watcher or Silent(), actor=Actor.system())


def live_tags() -> dict[str, Digest]:
    return {
        f"{tag.repository.name}:{tag.name}": Digest.from_bytes(bytes(tag.digest))
        for tag in Tag.objects.filter(ended_at=None).select_related("repository")
    }


def everything() -> list[Any]:
    """Return all that an import could change."""
    rows: list[Any] = [stored_files()]
    for model in (Project, Repository, Manifest, Tag, Blob, RepositoryBlob, Upload, AuditEntry):
        rows.append(list(model.objects.order_by("pk").values_list()))
    return rows


def reasons(tally: Tally) -> str:
    return " ".join(f"{finding.where}: {finding.reason}" for finding in tally.findings)


def object_file(storage_root: Path, digest: Digest) -> Path:
    return storage_root / Blob.objects.get(digest=digest.to_bytes()).storage_key


@pytest.mark.usefixtures("project")
def test_everything_is_taken_over(source: Source) -> None:
    watcher = Silent()
    tally = take_over(source, watcher=watcher)
    image, index = Digest.of(IMAGE), Digest.of(index_document(IMAGE))
    assert live_tags() == {
        f"{APP}:v1": image,
        f"{APP}:latest": image,
        f"{APP}:all": index,
        "team/nested/copy:v1": image,
    }
    assert (tally.repositories, tally.manifests, tally.tags, tally.findings) == (2, 3, 4, [])
    assert tally.blobs == {BlobRoute.LINKED: 2, BlobRoute.COPIED: 0, BlobRoute.SHARED: 2}
    assert (watcher.count, watcher.names) == (2, [APP, "team/nested/copy"])
    assert watcher.bytes == tally.verified_bytes == len(CONFIG) + len(LAYER)
    assert bytes(Manifest.objects.get(digest=index.to_bytes()).payload) == index_document(IMAGE)


@pytest.mark.usefixtures("project")
def test_blobs_are_second_names_of_the_files_of_the_source(
    source: Source, storage_root: Path
) -> None:
    take_over(source)
    mine, theirs = object_file(storage_root, Digest.of(LAYER)), source.blob_file(Digest.of(LAYER))
    assert os.path.samestat(mine.stat(), theirs.stat())
    assert theirs.stat().st_nlink == 2
    theirs.unlink()
    assert mine.read_bytes() == LAYER


@pytest.mark.usefixtures("project")
def test_who_else_has_a_blob_is_asked_once_for_a_repository(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(IMAGE)
    for number in range(3):
        image = json.dumps(document | {"annotations": {"number": str(number)}}).encode()
        source.manifest("team/nested/copy", image, f"n{number}")
    asked: list[tuple[str, Digest]] = []
    find = queries.find_mount_sources

    def count(digest: Digest, *, target_name: str, project_id: int, limit: int) -> list[str]:
        asked.append((target_name, digest))
        return find(digest, target_name=target_name, project_id=project_id, limit=limit)

    monkeypatch.setattr(queries, "find_mount_sources", count)
    tally = take_over(source)
    assert (tally.manifests, tally.blobs[BlobRoute.SHARED], tally.findings) == (6, 8, [])
    assert len(asked) == 2
    assert set(asked) == {("team/nested/copy", Digest.of(blob)) for blob in (CONFIG, LAYER)}


@pytest.mark.usefixtures("project")
def test_files_that_cannot_be_shared_are_copied(
    source: Source, storage_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesystemDriver, "adopt", lambda *_: False)
    tally = take_over(source)
    assert tally.blobs == {BlobRoute.LINKED: 0, BlobRoute.COPIED: 2, BlobRoute.SHARED: 2}
    mine, theirs = object_file(storage_root, Digest.of(LAYER)), source.blob_file(Digest.of(LAYER))
    assert mine.read_bytes() == LAYER
    assert theirs.stat().st_nlink == 1
    assert not os.path.samestat(mine.stat(), theirs.stat())


@pytest.mark.usefixtures("project")
def test_a_bucket_gets_copies(source: Source, settings: Settings) -> None:
    server = S3Server()
    try:
        options = options_for(server.url, server.new_bucket())
        settings.STORAGE_S3 = {name: getattr(options, name) for name in asdict(options)}
        default_driver.cache_clear()
        tally = take_over(source)
        assert tally.blobs[BlobRoute.COPIED] == 2
        blob = Blob.objects.get(digest=Digest.of(LAYER).to_bytes())
        assert default_driver().open_blob(blob.storage_key).read(0, 100) == LAYER
    finally:
        server.stop()


@pytest.mark.usefixtures("project")
def test_a_second_run_changes_nothing_but_the_record_of_it(source: Source) -> None:
    take_over(source)
    before = everything()
    tally = take_over(source)
    assert (tally.changes, tally.manifests_present, tally.tags_present) == (0, 3, 4)
    assert everything()[:-1] == before[:-1]
    assert AuditEntry.objects.filter(action="registry.imported").count() == 2


@pytest.mark.usefixtures("project")
def test_a_dry_run_counts_and_changes_nothing(source: Source) -> None:
    source.manifest(APP, image_document(b"absent"), "broken")
    before = everything()
    tally = take_over(source, dry_run=True)
    assert (tally.repositories, tally.manifests, tally.tags) == (2, 3, 4)
    assert len(tally.findings) == 2
    assert everything() == before


def test_projects_are_made_only_when_asked_for(source: Source) -> None:
    source.image("plain", "v1")
    before = everything()
    would = take_over(source, project="new", create=True, dry_run=True)
    assert (would.manifests, would.tags, would.findings) == (4, 5, [])
    assert everything() == before
    refused = take_over(source)
    assert "There is no project team" in reasons(refused)
    assert "plain: The name has no project" in reasons(refused)
    assert not Repository.objects.exists()
    tally = take_over(source, project="new", create=True)
    assert (tally.manifests, tally.tags, tally.findings) == (4, 5, [])
    assert set(Project.objects.values_list("name", "is_public")) == {
        ("team", False),
        ("new", False),
    }
    assert "new/plain:v1" in live_tags()


def test_names_that_are_not_valid_here_are_left_out(source: Source, project: Project) -> None:
    source.image("UPPER/case", "v1")
    tally = take_over(source)
    assert [finding.where for finding in tally.findings] == ["UPPER/case"]
    assert Repository.objects.filter(project=project).count() == 2


@pytest.mark.usefixtures("project")
def test_a_blob_with_other_bytes_is_left_out_and_leaves_nothing(source: Source) -> None:
    bad = source.image(APP, "bad", layer=b"right")
    source.blob_file(Digest.of(b"right")).write_bytes(b"wrong")
    tally = take_over(source)
    assert f"{APP}@{bad}" in reasons(tally)
    assert "other bytes than its digest" in reasons(tally)
    assert f"{APP}:bad: The tag leads to {bad}" in reasons(tally)
    assert (tally.manifests, tally.tags) == (3, 4)
    assert sorted(stored_files()) == sorted(f"blob {b.storage_key}" for b in Blob.objects.all())
    assert source.blob_file(Digest.of(b"right")).stat().st_nlink == 1
    source.blob_file(Digest.of(b"right")).write_bytes(b"right")
    assert take_over(source).changes == 2


@pytest.mark.usefixtures("project")
def test_a_damaged_blob_heals_from_the_source(source: Source, storage_root: Path) -> None:
    take_over(source)
    object_file(storage_root, Digest.of(LAYER)).unlink()
    source.image("team/third", "v1")
    take_over(source)
    assert object_file(storage_root, Digest.of(LAYER)).read_bytes() == LAYER


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("how", ["marked", *DAMAGES, "in a storage that is gone"])
def test_what_manifests_have_lost_heals_from_the_source(
    source: Source, storage_root: Path, how: str
) -> None:
    digest = Digest.of(LAYER)
    take_over(source)
    row = Blob.objects.filter(digest=digest.to_bytes())
    file = object_file(storage_root, digest)
    if how in DAMAGES:
        # Not through the name that it has here: the source's file is the same one.
        file.unlink()
        if how != "missing":
            file.write_bytes(LAYER[:-1] if how == "short" else b"lager")
    if how in ("marked", "flipped"):
        row.update(damaged_at=now())
    elif how not in DAMAGES:
        row.update(store="gone")
    would = take_over(source, dry_run=True)
    assert (would.healed, would.changes, would.findings) == (1, 0, [])
    tally = take_over(source)
    assert (tally.healed, tally.changes, tally.findings) == (1, 0, [])
    assert object_file(storage_root, digest).read_bytes() == LAYER
    assert row.get().damaged_at is None
    healed = AuditEntry.objects.get(action="blob.healed")
    assert (healed.actor_label, healed.target_label) == (IMPORTER, str(digest))
    assert take_over(source).healed == 0


@pytest.mark.usefixtures("project")
def test_what_the_source_has_lost_too_is_told_once(source: Source, storage_root: Path) -> None:
    take_over(source)
    object_file(storage_root, Digest.of(LAYER)).unlink()
    source.blob_file(Digest.of(LAYER)).unlink()
    for dry_run in (True, False):
        tally = take_over(source, dry_run=dry_run)
        assert (tally.healed, tally.manifests_present) == (0, 3)
        assert reasons(tally) == (
            f"{APP}@{Digest.of(LAYER)}: The blob is damaged here, and not in the source. "
            "It is missing."
        )
    source.blob_file(Digest.of(LAYER)).write_bytes(b"lager")
    assert "other bytes than its digest" in reasons(take_over(source))


def test_tags_follow_the_source_until_somebody_else_sets_them(
    source: Source, project: Project
) -> None:
    take_over(source)
    newer = source.image(APP, layer=b"newer")
    for tag in ("v1", "latest"):
        source.tag(APP, tag, newer)
    theirs = push(project, index_document(media_type=OCI_IMAGE_INDEX), "latest").digest
    tally = take_over(source)
    assert (tally.manifests, tally.tags) == (1, 1)
    assert live_tags()[f"{APP}:v1"] == newer
    assert live_tags()[f"{APP}:latest"] == theirs
    assert reasons(tally) == f"{APP}:latest: Somebody else has set the tag here; it stays."
    # Back to an older manifest, which is here already.
    source.tag(APP, "v1", Digest.of(IMAGE))
    assert take_over(source).tags == 1
    assert live_tags()[f"{APP}:v1"] == Digest.of(IMAGE)


class TooMuch(DomainError):
    """Refuses whatever it is asked about."""

    code = "DENIED"
    kind = ErrorKind.OVER_LIMIT
    default_message = "Over the quota."


def refuse_nested(write: PendingWrite) -> None:
    """Refuse writes to one repository."""
    if write.repository_name == "team/nested/copy":
        raise TooMuch


@pytest.mark.usefixtures("project")
def test_gatekeepers_are_asked_as_for_a_push(source: Source, settings: Settings) -> None:
    settings.GATEKEEPERS = [f"{__name__}.refuse_nested"]
    tally = take_over(source)
    assert (tally.manifests, tally.tags) == (2, 3)
    assert "Over the quota." in reasons(tally)


@pytest.mark.usefixtures("project")
def test_a_full_storage_stops_the_import_and_the_next_run_goes_on(source: Source) -> None:
    failpoints.arm("upload.commit.before_transaction=enospc@2")
    try:
        with pytest.raises((StorageFull, OSError)):
            take_over(source)
    finally:
        failpoints.disarm()
    tally = take_over(source)
    assert tally.findings == []
    assert len(live_tags()) == 4
    assert Upload.objects.filter(committed_digest=None).count() == 0
    assert sorted(stored_files()) == sorted(f"blob {b.storage_key}" for b in Blob.objects.all())


def test_uploads_that_an_import_left_are_ended_and_others_not(
    source: Source, project: Project
) -> None:
    others = make_upload(project)
    write_chunk(others, b"their bytes")
    left = make_upload(project)
    Upload.objects.filter(id=left.id).update(owner=IMPORTER)
    take_over(source)
    assert list(Upload.objects.filter(committed_digest=None).values_list("id", flat=True)) == [
        others.id
    ]


@contextmanager
def held_lock() -> Iterator[None]:
    """Hold the lock of imports from another connection."""
    parameters = connection.get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    other = psycopg2.connect(**{key: parameters[key] for key in keys if key in parameters})
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended('core.imports', 0))")
            yield
            # Closing the connection alone lets go of it a moment later.
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()


@pytest.mark.usefixtures("project")
def test_imports_take_turns(source: Source) -> None:
    with held_lock(), pytest.raises(ImportRunning):
        take_over(source)
    assert take_over(source).manifests == 3
    assert take_over(source).changes == 0


def test_a_directory_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid):
        import_registry(
            ImportPlan(tmp_path, None, False, False), watcher=Silent(), actor=Actor.system()
        )


@pytest.mark.usefixtures("project")
def test_the_audit_log_names_the_import(source: Source) -> None:
    take_over(source)
    entry = AuditEntry.objects.get(action="registry.imported")
    assert (entry.actor_kind, entry.actor_label) == ("system", IMPORTER)
    assert (entry.detail["manifests"], entry.detail["findings"]) == (3, 0)
    pushed = AuditEntry.objects.filter(action="artifact.pushed")
    assert {entry.actor_label for entry in pushed} == {IMPORTER}
