"""Uploads that end as blobs, mounts, deletes and leases."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import OperationalError

from core.artifacts.errors import BlobUnknown, ContentInUse, NameUnknown, OutcomeUncertain
from core.artifacts.models import Repository, RepositoryBlob
from core.artifacts.rules import LEASE
from core.artifacts.services.blobs import (
    delete_blob,
    find_committed_upload,
    mount_blob,
    renew_lease,
)
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.types import StoredBlob
from core.audit.models import AuditEntry
from core.blobs import claims
from core.blobs.errors import UploadUnknown
from core.blobs.models import Blob, CondemnedObject, Upload
from core.blobs.services import find_upload, sweep_uploads
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.storage.errors import StorageFailed
from core.storage.filesystem import FilesystemDriver
from core.storage.selection import default_driver
from tests.factories.artifacts import (
    PUSHER,
    VIEWER,
    find_blob,
    finish,
    in_other_process,
    make_blob,
    make_image,
    make_upload,
    stored_files,
    write_chunk,
)
from tests.factories.projects import make_project

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = Digest.of(b"content")


def mount(
    project: Project,
    digest: Digest = CONTENT,
    *,
    source: str | None,
    target: str = "team/target",
    unreadable: tuple[str, ...] = (),
) -> StoredBlob | None:
    return mount_blob(
        digest,
        source=source,
        target_name=target,
        project_id=project.pk,
        actor=PUSHER,
        readable=lambda name: name not in unreadable,
    )


def has_blob(name: str, digest: Digest = CONTENT) -> bool:
    return find_blob(name, digest, VIEWER).blob is not None


def test_a_finished_upload_is_a_blob_of_its_repository_alone(project: Project) -> None:
    blob = make_blob(project, b"content")
    assert find_blob("team/app", CONTENT, VIEWER).blob == blob
    make_blob(project, b"other", "other")
    assert not has_blob("team/other")
    assert blob.leased_until > now() + LEASE - timedelta(minutes=1)
    entry = AuditEntry.objects.get(action="blob.pushed", target_id=str(blob.id))
    assert (entry.target_label, entry.actor_id) == (f"team/app@{CONTENT}", 7)


def test_an_empty_blob(project: Project) -> None:
    blob = make_blob(project, b"")
    assert blob.size_bytes == 0
    assert default_driver().stat(blob.storage_key) == 0


def test_the_same_content_is_stored_once(project: Project) -> None:
    first = make_blob(project, b"content", "one")
    second = make_blob(project, b"content", "two")
    assert (second.id, second.storage_key) == (first.id, first.storage_key)
    assert stored_files() == [f"blob {first.storage_key}"]
    assert has_blob("team/one")
    assert has_blob("team/two")


@pytest.mark.parametrize("damage", ["missing", "short", "marked"])
def test_pushing_again_heals_a_damaged_copy(
    project: Project, storage_root: Path, damage: str
) -> None:
    first = make_blob(project, b"content")
    path = storage_root / first.storage_key
    if damage == "marked":
        Blob.objects.update(damaged_at=now())
    else:
        path.unlink()
    if damage == "short":
        path.write_bytes(b"cont")
    second = make_blob(project, b"content", "other")
    assert second.id == first.id
    assert second.storage_key != first.storage_key
    found = find_blob("team/app", CONTENT, VIEWER).blob
    assert found is not None
    assert default_driver().stat(found.storage_key) == 7
    assert not found.is_damaged
    assert Blob.objects.get().verified_at is not None
    (condemned,) = CondemnedObject.objects.all()
    assert (condemned.store, condemned.storage_key) == (first.store, first.storage_key)
    healed = AuditEntry.objects.get(action="blob.healed")
    assert (healed.actor_label, healed.detail) == (PUSHER.label, {"by": "push"})
    assert healed.target_label == str(CONTENT)


def test_a_sound_copy_is_not_healed(project: Project) -> None:
    make_blob(project, b"content")
    make_blob(project, b"content", "other")
    assert not CondemnedObject.objects.exists()
    assert not AuditEntry.objects.filter(action="blob.healed").exists()


def test_a_repeated_closing_request_finds_its_answer(project: Project) -> None:
    upload = make_upload(project)
    where = (upload.id, upload.repository_name, upload.owner)
    assert not find_committed_upload(*where, CONTENT)
    finish(upload, CONTENT, b"content")
    assert find_committed_upload(*where, CONTENT)
    assert not find_committed_upload(*where, Digest.of(b"other"))
    assert not find_committed_upload(upload.id, upload.repository_name, "user:8", CONTENT)
    assert not find_committed_upload(upload.id, "team/other", upload.owner, CONTENT)
    with pytest.raises(UploadUnknown):
        finish(upload, CONTENT)
    sweep_uploads(now() + timedelta(hours=2))
    assert not find_committed_upload(*where, CONTENT)


def test_an_upload_into_a_deleted_project_leads_nowhere(project: Project) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"content")
    project.delete()
    with pytest.raises(NameUnknown):
        finish(upload, CONTENT)
    assert len(stored_files()) == 1
    assert sweep_uploads(now() + timedelta(seconds=1)) == 1
    assert stored_files() == []
    with pytest.raises(UploadUnknown):
        finish(upload, CONTENT)


def test_a_broken_commit_leaves_everything_for_another_try(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = make_upload(project)

    def lose_connection(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(claims, "commit_as_new_locked", lose_connection)
    with pytest.raises(OutcomeUncertain):
        finish(upload, CONTENT, b"content")
    monkeypatch.undo()
    assert not Blob.objects.exists()
    assert not Repository.objects.exists()
    assert len(stored_files()) == 1
    assert finish(upload, CONTENT).size_bytes == 7
    assert has_blob("team/app")


def test_a_duplicate_that_cannot_be_dropped_goes_with_the_sweep(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_blob(project, b"content")

    def refuse(*_: object) -> None:
        raise StorageFailed

    monkeypatch.setattr(FilesystemDriver, "delete", refuse)
    assert make_blob(project, b"content", "other").id == first.id
    monkeypatch.undo()
    assert len(stored_files()) == 2
    assert sweep_uploads(now() + timedelta(hours=2)) == 2
    assert stored_files() == [f"blob {first.storage_key}"]


KILL_POINTS = (
    "storage.write",
    "storage.sync",
    "upload.checkpoint",
    "storage.commit.synced",
    "storage.commit.renamed",
    "storage.commit.done",
    "upload.commit.before_transaction",
    "upload.commit.in_transaction",
    "upload.commit.after_transaction",
)


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_process_killed_while_closing_loses_nothing_acknowledged(
    project: Project, storage_root: Path, point: str
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"con")
    script = f"failpoints.arm('{point}=kill'); session.write(b'tent'); "
    script += f"finish_upload(session, Digest.parse('{CONTENT}'), actor=PUSHER)"
    outcome = in_other_process(script, upload, storage_root)
    assert outcome.returncode == -9, outcome.stderr
    Upload.objects.update(locked_until=now() - timedelta(seconds=1))
    close_again(upload.id, upload.owner)
    found = find_blob("team/app", CONTENT, VIEWER).blob
    assert found is not None
    assert stored_files() == [f"blob {found.storage_key}"]
    sweep_uploads(now() + timedelta(days=8))
    assert not Upload.objects.exists()
    assert stored_files() == [f"blob {found.storage_key}"]


def close_again(upload_id: UUID, owner: str) -> None:
    """Do what a client does after the server came back: ask for the offset, send the rest."""
    upload = Upload.objects.get(pk=upload_id)
    if upload.committed_digest is not None:
        assert find_committed_upload(upload.pk, upload.repository_name, owner, CONTENT)
        return
    facts = find_upload(upload.pk, repository_name="team/app", owner=owner)
    assert facts is not None
    assert facts.size_bytes in {3, 7}
    finish(facts, CONTENT, b"content"[facts.size_bytes :])


def test_a_mount_shares_the_bytes(project: Project) -> None:
    blob = make_blob(project, b"content")
    mounted = mount(project, source="team/app")
    assert mounted is not None
    assert (mounted.id, mounted.storage_key) == (blob.id, blob.storage_key)
    assert has_blob("team/target")
    assert len(stored_files()) == 1
    entry = AuditEntry.objects.get(action="blob.mounted")
    assert entry.detail == {"size_bytes": 7, "source": "team/app"}


@pytest.mark.parametrize("is_public", [False, True])
def test_a_mount_names_its_source_to_the_other_project_only_if_that_is_public(
    project: Project, is_public: bool
) -> None:
    other = make_project("other", is_public=is_public)
    make_blob(other, b"content")
    assert mount(project, source="other/app") is not None
    detail = AuditEntry.objects.get(action="blob.mounted").detail
    assert detail == {"size_bytes": 7, **({"source": "other/app"} if is_public else {})}


def test_a_mount_to_itself_succeeds(project: Project) -> None:
    make_blob(project, b"content")
    assert mount(project, source="team/app", target="team/app") is not None


@pytest.mark.parametrize(
    ("digest", "source", "unreadable"),
    [
        (Digest.of(b"unknown"), "team/app", ()),
        (CONTENT, "team/nowhere", ()),
        (CONTENT, "team/app", ("team/app",)),
        (Digest.of(b"unknown"), None, ()),
        (CONTENT, None, ("team/app",)),
    ],
)
def test_mounts_that_fail_cannot_be_told_apart_and_leave_nothing(
    project: Project, digest: Digest, source: str | None, unreadable: tuple[str, ...]
) -> None:
    make_blob(project, b"content")
    assert mount(project, digest, source=source, unreadable=unreadable) is None
    assert list(Repository.objects.values_list("name", flat=True)) == ["team/app"]


def test_an_anonymous_mount_prefers_the_targets_project(project: Project) -> None:
    foreign = make_project("foreign")
    make_blob(foreign, b"content", "app")
    make_blob(project, b"content", "app")
    asked: list[str] = []

    def readable(name: str) -> bool:
        asked.append(name)
        return name == "foreign/app"

    mounted = mount_blob(
        CONTENT,
        source=None,
        target_name="team/target",
        project_id=project.pk,
        actor=PUSHER,
        readable=readable,
    )
    assert mounted is not None
    assert asked == ["team/app", "foreign/app"]


def test_a_mount_into_a_deleted_project_is_refused(project: Project) -> None:
    make_blob(project, b"content")
    with pytest.raises(NameUnknown):
        mount_blob(
            CONTENT,
            source="team/app",
            target_name="gone/app",
            project_id=project.pk + 1,
            actor=PUSHER,
            readable=lambda _: True,
        )


def test_a_deleted_blob_is_gone_here_and_stays_elsewhere(project: Project) -> None:
    make_blob(project, b"content", "one")
    make_blob(project, b"content", "two")
    delete_blob("team/one", CONTENT, actor=PUSHER)
    assert not has_blob("team/one")
    assert has_blob("team/two")
    with pytest.raises(BlobUnknown):
        delete_blob("team/one", CONTENT, actor=PUSHER)
    with pytest.raises(NameUnknown):
        delete_blob("team/nowhere", CONTENT, actor=PUSHER)
    assert AuditEntry.objects.filter(action="blob.deleted").count() == 1


def test_a_blob_in_use_stays_until_its_manifest_is_deleted(project: Project) -> None:
    image = make_image(project, layers=(b"content",))
    make_blob(project, b"content", "other")
    with pytest.raises(ContentInUse, match=str(image.digest)):
        delete_blob("team/app", CONTENT, actor=PUSHER)
    delete_blob("team/other", CONTENT, actor=PUSHER)
    delete_manifest("team/app", image.digest, actor=PUSHER)
    delete_blob("team/app", CONTENT, actor=PUSHER)
    assert not has_blob("team/app")


def test_a_lease_is_renewed_while_the_blob_is_there(project: Project) -> None:
    make_blob(project, b"content")
    found = find_blob("team/app", CONTENT, VIEWER)
    assert found.blob is not None
    assert found.repository_id is not None
    later = found.blob.leased_until - timedelta(hours=11)
    assert renew_lease(found.repository_id, found.blob, now=later)
    assert RepositoryBlob.objects.get().leased_until == later + LEASE
    delete_blob("team/app", CONTENT, actor=PUSHER)
    assert not renew_lease(found.repository_id, found.blob, now=later)
