"""Writing an upload: offsets, checkpoints, resumption and the fence around its row."""

import errno
from datetime import timedelta
from pathlib import Path

import pytest

from core.blobs import claims
from core.blobs.errors import DigestMismatch, RangeMismatch, UploadTaken, UploadUnknown
from core.blobs.models import Upload
from core.blobs.services import cancel_upload, get_upload, open_session, sweep_uploads
from core.blobs.sessions import UploadSession
from core.blobs.types import UploadFacts
from core.common import failpoints
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.models import Project
from core.storage.errors import StorageFailed, StorageFull
from core.storage.selection import default_driver
from tests.factories.artifacts import (
    finish,
    in_other_process,
    make_upload,
    stored_files,
    write_chunk,
)
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def open_one(upload: UploadFacts, offset: int | None = None) -> UploadSession:
    return open_session(
        upload.id,
        repository_name=upload.repository_name,
        owner=upload.owner,
        expected_offset=offset,
    )


def size_of(upload: UploadFacts) -> int:
    facts = get_upload(upload.id, repository_name=upload.repository_name, owner=upload.owner)
    return facts.size_bytes


def content_of(key: str) -> bytes:
    reader = default_driver().open_blob(key)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def test_chunks_of_several_sessions_make_one_blob(project: Project) -> None:
    upload = make_upload(project)
    assert write_chunk(upload, b"", offset=0) == 0
    assert write_chunk(upload, b"one ", offset=0) == 4
    assert write_chunk(upload, b"two", offset=4) == 7
    blob = finish(upload, Digest.of(b"one two"))
    assert (blob.size_bytes, content_of(blob.storage_key)) == (7, b"one two")


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_another_offset_is_refused_at_once_and_changes_nothing(
    project: Project, offset: int
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"abc")
    with pytest.raises(RangeMismatch) as refusal:
        open_one(upload, offset)
    assert refusal.value.size_bytes == 3
    assert finish(upload, Digest.of(b"abc")).size_bytes == 3


def test_a_wrong_offset_is_refused_even_while_another_writes(project: Project) -> None:
    upload = make_upload(project)
    with open_one(upload), pytest.raises(RangeMismatch):
        open_one(upload, 1)


def test_a_second_writer_is_refused(project: Project) -> None:
    upload = make_upload(project)
    with open_one(upload), pytest.raises(UploadTaken):
        open_one(upload, 0)
    with open_one(upload, 0) as session:
        assert session.size_bytes == 0


def test_rollback_returns_to_the_offset_at_open(project: Project) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"kept ")
    with open_one(upload) as session:
        session.write(b"half a chu")
        session.rollback()
        assert session.size_bytes == 5
    with open_one(upload) as session:
        session.write(b"some")
        session.checkpoint()
        session.write(b" more")
        session.rollback()
    assert size_of(upload) == 5
    write_chunk(upload, b"end", offset=5)
    assert content_of(finish(upload, Digest.of(b"kept end")).storage_key) == b"kept end"


def test_what_was_not_made_durable_is_forgotten_on_release(project: Project) -> None:
    upload = make_upload(project)
    with open_one(upload) as session:
        session.write(b"durable")
        session.checkpoint()
        session.write(b" or not")
    assert size_of(upload) == 7
    assert finish(upload, Digest.of(b"durable")).size_bytes == 7


def test_a_full_disk_leaves_an_honest_offset_and_the_same_upload_goes_on(
    project: Project,
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"before ")
    failpoints.arm("storage.write=enospc")
    try:
        with open_one(upload) as session, pytest.raises(StorageFull):
            session.write(b"after")
    finally:
        failpoints.disarm()
    assert size_of(upload) == 7
    assert finish(upload, Digest.of(b"before after"), b"after").size_bytes == 12


def test_a_failed_sync_does_not_count(project: Project) -> None:
    upload = make_upload(project)
    failpoints.arm("storage.sync=eio@1")
    try:
        with open_one(upload) as session:
            session.write(b"doubtful")
            with pytest.raises(Exception, match="storage") as failure:
                session.checkpoint()
            assert isinstance(failure.value.__cause__, OSError)
            assert failure.value.__cause__.errno == errno.EIO
    finally:
        failpoints.disarm()
    assert size_of(upload) == 0
    assert finish(upload, Digest.of(b"anew"), b"anew").size_bytes == 4


@pytest.mark.parametrize(
    ("failpoint", "is_lost"),
    [("storage.commit.synced=eio", False), ("storage.commit.renamed=eio", True)],
)
def test_a_failed_commit_keeps_the_upload_or_ends_it(
    project: Project, failpoint: str, *, is_lost: bool
) -> None:
    upload, digest = make_upload(project), Digest.of(b"content")
    write_chunk(upload, b"content")
    failpoints.arm(failpoint)
    try:
        with open_one(upload) as session, pytest.raises(StorageFailed):
            session.complete(digest)
    finally:
        failpoints.disarm()
    if is_lost:
        assert not Upload.objects.exists()
    else:
        assert size_of(upload) == 7
        assert finish(upload, digest).size_bytes == 7


def test_another_process_goes_on_with_the_hash(project: Project, storage_root: Path) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"first ")
    outcome = in_other_process(
        "session.write(b'second '); print(session.checkpoint()); session.release()",
        upload,
        storage_root,
    )
    assert (outcome.returncode, outcome.stdout.strip()) == (0, "13"), outcome.stderr
    with open_one(upload) as session:
        assert session.size_bytes == 13
        session.write(b"third")
        # Without a running hash the content would be read again; it must not need to be.
        assert session._running_digest() == Digest.of(b"first second third").hex
    assert finish(upload, Digest.of(b"first second third"), b"third").size_bytes == 18


def test_a_lost_hash_state_is_made_up_for_by_reading(project: Project) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"first ")
    Upload.objects.update(hash_state=b"of another build")
    assert write_chunk(upload, b"second") == 12
    assert Upload.objects.get().digest_at_size is None
    assert finish(upload, Digest.of(b"first second")).size_bytes == 12


def test_the_digest_at_the_size_serves_when_nothing_follows(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"all of it")
    Upload.objects.update(hash_state=None)
    monkeypatch.setattr(UploadSession, "_hash_stored_bytes", None)
    assert finish(upload, Digest.of(b"all of it")).size_bytes == 9


@pytest.mark.parametrize("hashed", ["sha256", "sha512"])
@pytest.mark.parametrize("closing", ["sha256", "sha512"])
def test_the_closing_digest_may_be_of_another_algorithm(
    project: Project, hashed: str, closing: str
) -> None:
    upload = make_upload(project, algorithm=hashed)
    write_chunk(upload, b"con")
    digest = Digest.of(b"content", closing)
    assert finish(upload, digest, b"tent").digest == digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_wrong_digest_removes_the_upload_and_its_bytes(project: Project, algorithm: str) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"content")
    with pytest.raises(DigestMismatch):
        finish(upload, Digest.of(b"other", algorithm))
    with pytest.raises(UploadUnknown):
        size_of(upload)
    assert not Upload.objects.exists()
    assert stored_files() == []


def test_a_writer_whose_claim_lapsed_cannot_change_the_row(project: Project) -> None:
    upload = make_upload(project)
    with open_one(upload) as late:
        late.write(b"late")
        late._close_writer()
        Upload.objects.update(locked_until=now() - timedelta(seconds=1))
        assert write_chunk(upload, b"winner", offset=0) == 6
        with pytest.raises(UploadTaken):
            claims.save_checkpoint(late.claim, late.claim.checkpoint)
        with pytest.raises(UploadTaken):
            claims.renew(late.claim)
    assert finish(upload, Digest.of(b"winner")).size_bytes == 6


def test_a_writer_that_lost_its_claim_before_its_first_byte_leaves_the_storage_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"first")
    with open_one(upload) as late:
        Upload.objects.update(locked_until=now() - timedelta(seconds=1))
        assert write_chunk(upload, b" winner", offset=5) == 12
        monkeypatch.setattr("core.blobs.sessions.RENEW_AFTER_SECONDS", 0)
        with pytest.raises(UploadTaken):
            late.write(b"late")
    assert finish(upload, Digest.of(b"first winner")).size_bytes == 12


def test_a_claim_is_renewed_while_bytes_arrive(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.blobs.sessions.RENEW_AFTER_SECONDS", 0)
    upload = make_upload(project)
    with open_one(upload) as session:
        Upload.objects.update(locked_until=now())
        session.write(b"x")
        locked_until = Upload.objects.get().locked_until
        assert locked_until is not None
        assert locked_until > now() + timedelta(seconds=15)


def test_a_cancelled_upload_is_gone_with_its_bytes(project: Project) -> None:
    upload = make_upload(project)
    write_chunk(upload, b"content")
    where = {"repository_name": upload.repository_name, "owner": upload.owner}
    cancel_upload(upload.id, **where)
    assert stored_files() == []
    with pytest.raises(UploadUnknown):
        cancel_upload(upload.id, **where)
    with pytest.raises(UploadUnknown):
        write_chunk(upload, b"more")


def test_cancelling_fences_off_a_writer_at_work(project: Project) -> None:
    upload = make_upload(project)
    with open_one(upload) as session:
        session.write(b"content")
        cancel_upload(upload.id, repository_name=upload.repository_name, owner=upload.owner)
        with pytest.raises(UploadUnknown):
            session.checkpoint()
    Upload.objects.update(locked_until=now() - timedelta(seconds=1))
    assert sweep_uploads(now()) == 1
    assert stored_files() == []


def test_of_two_chunks_at_one_offset_exactly_one_counts(project: Project) -> None:
    upload = make_upload(project)
    results = at_once(2, lambda number: write_chunk(upload, b"%d" % number * 4, offset=0))
    assert results.count(4) == 1
    assert sum(isinstance(result, RangeMismatch | UploadTaken) for result in results) == 1
    content = b"%d" % results.index(4) * 4
    assert content_of(finish(upload, Digest.of(content)).storage_key) == content
