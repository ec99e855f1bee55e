"""The object through which one request writes an upload."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from django.db import Error

from core.blobs import claims, rules
from core.blobs.errors import DigestMismatch, UploadTaken, UploadUnknown
from core.blobs.keeping import KEEPER
from core.blobs.types import Checkpoint, UploadClaim
from core.common import failpoints
from core.oci.digest import Digest
from core.storage.errors import StorageFailed, StorageFull, UploadBusy, UploadMissing
from core.storage.hashing import ResumableHash
from core.storage.types import AdoptsFiles, BytesLike, StorageDriver, UploadWriter

log = structlog.get_logger(__name__)

# Well below the duration of a claim, so that a short hiccup does not cost it.
RENEW_AFTER_SECONDS = 5
READ_BYTES = 1 << 20

LASTING_BYTES = 4 << 20
"""From so many new bytes on, a checkpoint waits until its row is on disk.

A power cut may take a smaller one, and the client sends those bytes again.
"""


class UploadSession:
    """The sole writer of an upload, for one thread at a time. Always end with ``release``.

    Bytes count once ``checkpoint`` has returned. Every method may raise UploadTaken when
    another request has taken the upload over, UploadUnknown when it is gone, and the errors
    of the storage driver.
    """

    def __init__(self, claim: UploadClaim, driver: StorageDriver) -> None:
        """Go on from the claim's checkpoint; the storage is touched at the first write."""
        self._claim = claim
        self._driver = driver
        self._opened_at = claim.checkpoint
        self._durable = claim.checkpoint
        self._hash = _resume(claim.algorithm, claim.checkpoint)
        self._writer: UploadWriter | None = None
        self._renewed_at = time.monotonic()
        self._is_released = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def claim(self) -> UploadClaim:
        """The claim under which this session writes."""
        return self._claim

    @property
    def id(self) -> UUID:
        """The upload's id."""
        return self._claim.id

    @property
    def repository_name(self) -> str:
        """Full name of the repository the blob is for."""
        return self._claim.repository_name

    @property
    def project_id(self) -> int:
        """Id of that repository's project."""
        return self._claim.project_id

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, durable or not."""
        return self._durable.size_bytes if self._writer is None else self._writer.offset

    def write(self, data: BytesLike) -> None:
        """Append all of ``data``, or raise and leave the size as it was."""
        if self._writer is None:
            # Opening cuts off what is beyond the checkpoint; a client that has been silent since
            # its claim may have lost it to one who has added bytes meanwhile.
            self.keepalive()
            self._writer = self._open_writer()
        with _as_upload_errors():
            self._writer.write(data)
        if self._hash is not None:
            self._hash.update(data)
        self.keepalive()

    def adopt(self, descriptor: int, pieces: Iterable[bytes]) -> bool:
        """Take over an open file as all of the upload's bytes, where the storage can do that.

        ``pieces`` yields the content of the file, which is hashed for ``complete`` to judge.
        False, with nothing done and nothing taken from ``pieces``, where it cannot: write the
        pieces then. For uploads that hold nothing yet.
        """
        if self.size_bytes or not isinstance(self._driver, AdoptsFiles):
            return False
        with KEEPER.keeping(self._claim):
            if not self._driver.adopt(self._claim.storage_key, descriptor):
                return False
        size, running = 0, ResumableHash(self._claim.algorithm)
        for piece in pieces:
            running.update(piece)
            size += len(piece)
            self.keepalive()
        self._hash = running
        self._durable = Checkpoint(
            size_bytes=size,
            storage_state=self._durable.storage_state,
            hash_state=running.state(),
            digest_at_size=running.hexdigest(),
        )
        claims.save_checkpoint(self._claim, self._durable, relaxed=True)
        return True

    def keepalive(self) -> None:
        """Keep the claim while bytes arrive slowly; costs nothing for seconds at a time."""
        if time.monotonic() - self._renewed_at >= RENEW_AFTER_SECONDS:
            claims.renew(self._claim)
            self._renewed_at = time.monotonic()

    def checkpoint(self) -> int:
        """Make all bytes durable, record that, and return the size."""
        self._checkpoint()
        return self.size_bytes

    def suspend(self) -> int:
        """Do the same and let others write the upload."""
        size_bytes = self.size_bytes
        if self._checkpoint(lets_go=True):
            self._is_released = True
            self._close_writer()
        else:
            self.release()
        return size_bytes

    def rollback(self) -> None:
        """Return to the size at which the session was opened.

        A chunk that broke off costs nothing but its own transfer: the storage lets go of
        its bytes now or, if they were made durable in between, when the next writer comes.
        """
        self._close_writer()
        if self._durable.size_bytes != self._opened_at.size_bytes:
            claims.save_checkpoint(self._claim, self._opened_at)
            self._durable = self._opened_at
        self._hash = _resume(self._claim.algorithm, self._durable)

    def complete(self, digest: Digest) -> None:
        """Turn all bytes into a durable object under the upload's storage key.

        Raises DigestMismatch when they do not have ``digest``; the upload is gone then. May
        be repeated after a failure, also by another session, until a transaction marks the
        upload committed; unless the failure has cost the bytes, when the upload is gone too.
        """
        self._checkpoint(last=True)
        self._close_writer()
        known = self._running_digest() if digest.algorithm == self._claim.algorithm else None
        if known is not None and known != digest.hex:
            self.discard()
            raise DigestMismatch(detail={"digest": str(digest)})
        try:
            with _as_upload_errors(), KEEPER.keeping(self._claim):
                self._driver.commit(
                    self._claim.storage_key, self._durable.storage_state, self.size_bytes
                )
        except (StorageFailed, StorageFull):
            self._end_if_lost()
            raise
        if known is None and self._hash_stored_bytes(digest.algorithm) != digest.hex:
            self.discard()
            raise DigestMismatch(detail={"digest": str(digest)})

    def discard(self) -> None:
        """Remove the upload and its bytes. What a crash leaves is the sweeper's to take."""
        self._close_writer()
        self._is_released = True
        if claims.expire(self._claim):
            self._driver.abort(self._claim.storage_key, self._durable.storage_state)
            self._driver.delete(self._claim.storage_key)
            claims.remove(self._claim)

    def settle(self, *, keep_object: bool) -> None:
        """End the session after its transaction; drop the object if another serves instead.

        A storage that refuses to drop it does not undo the upload: the tombstone still names
        the key, and the sweeper tries again.
        """
        self._is_released = True
        if not keep_object:
            try:
                self._driver.delete(self._claim.storage_key)
            except StorageFailed:
                log.warning("duplicate_object_left", storage_key=self._claim.storage_key)

    def release(self) -> None:
        """Let others write the upload; bytes since the last checkpoint are forgotten."""
        if self._is_released:
            return
        self._is_released = True
        try:
            self._close_writer()
        finally:
            try:
                claims.release(self._claim)
            except Error:
                # The claim lapses by itself; the error that led here matters more.
                log.warning("upload_claim_left", upload_id=str(self._claim.id), exc_info=True)

    def _end_if_lost(self) -> None:
        """End the upload when a failed commit has cost its bytes: its row must not count them."""
        # A storage that fails here as well leaves the answer to the next request.
        with suppress(StorageFailed, StorageFull, UploadTaken):
            try:
                self._open_writer().close()
            except UploadUnknown:
                self.discard()

    def _open_writer(self) -> UploadWriter:
        with _as_upload_errors():
            return self._driver.open_writer(
                self._claim.storage_key,
                self._durable.storage_state,
                self._durable.size_bytes,
            )

    def _checkpoint(self, *, last: bool = False, lets_go: bool = False) -> bool:
        """Make the bytes durable, then record it; False when there are no new ones."""
        if self._writer is None or self._writer.offset == self._durable.size_bytes:
            return False
        with _as_upload_errors(), KEEPER.keeping(self._claim):
            state = self._writer.sync(last=last)
        checkpoint = Checkpoint(
            size_bytes=self._writer.offset,
            storage_state=state,
            hash_state=self._hash.state() if self._hash else None,
            digest_at_size=self._hash.hexdigest() if self._hash else None,
        )
        gained = checkpoint.size_bytes - self._durable.size_bytes
        claims.save_checkpoint(
            self._claim, checkpoint, lets_go=lets_go, relaxed=last or gained < LASTING_BYTES
        )
        self._durable = checkpoint
        self._renewed_at = time.monotonic()
        failpoints.reach("upload.checkpoint")
        return True

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _running_digest(self) -> str | None:
        return self._hash.hexdigest() if self._hash else self._durable.digest_at_size

    def _hash_stored_bytes(self, algorithm: str) -> str:
        """Read the committed object from the start; for an upload whose hash is not known."""
        running = ResumableHash(algorithm)
        reader = self._driver.open_blob(self._claim.storage_key)
        try:
            offset = 0
            while piece := reader.read(offset, READ_BYTES):
                running.update(piece)
                offset += len(piece)
                self.keepalive()
        finally:
            reader.close()
        return running.hexdigest()


@contextmanager
def _as_upload_errors() -> Iterator[None]:
    """Say what a client can act on: its upload is gone, or somebody else writes it."""
    try:
        yield
    except UploadMissing as error:
        raise UploadUnknown from error
    except UploadBusy as error:
        raise UploadTaken from error


def _resume(algorithm: str, checkpoint: Checkpoint) -> ResumableHash | None:
    """Return the running hash at the checkpoint, None when it cannot be had."""
    if checkpoint.size_bytes == 0:
        return ResumableHash(algorithm)
    if checkpoint.hash_state is None:
        return None
    resumed = ResumableHash.restore(checkpoint.hash_state)
    if resumed is None or not rules.continues(
        resumed.algorithm, resumed.length, algorithm, checkpoint.size_bytes
    ):
        return None
    return resumed
