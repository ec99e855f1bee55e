"""The driver: uploads made of pieces, and blobs, in one bucket or container."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from secrets import token_hex

from core.common import failpoints
from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageMisconfigured, UploadMissing, translated
from core.storage.keys import parse_key
from core.storage.part_buffer import BufferMemory
from core.storage.part_schedule import PartSchedule
from core.storage.pieces.processes import PerProcess
from core.storage.pieces.reader import PiecesReader
from core.storage.pieces.service import PieceService
from core.storage.pieces.state import PiecesState
from core.storage.pieces.writer import PIECES, PiecesWriter
from core.storage.types import StoredObject, UploadState

PIECE_THREADS = 16
"""Pieces that one process sends at once."""

BUFFER_MEMORY_BYTES = 128 << 20
"""What all unfinished pieces of a process may take in memory; more goes to files."""


class PiecesDriver:
    """Keeps uploads and blobs in a cloud. See ``StorageDriver``.

    One difference: a reader whose blob is deleted fails at its next request to the service.
    """

    reads_are_quick = False
    least_chunk_bytes = None

    def __init__(
        self,
        service: PieceService,
        *,
        schedule: PartSchedule = PIECES,
        buffer_memory_bytes: int = BUFFER_MEMORY_BYTES,
    ) -> None:
        """Set up the driver, without a request."""
        self._service = service
        self._schedule = schedule
        self._memory = BufferMemory(buffer_memory_bytes)
        self._threads = PerProcess(
            lambda: ThreadPoolExecutor(PIECE_THREADS, thread_name_prefix="piece")
        )

    def start(self, key: str) -> UploadState:
        """Begin an upload. The first request comes with its first bytes."""
        parse_key(key)
        return PiecesState(self._service.name).to_json()

    def open_writer(self, key: str, state: UploadState, size: int) -> PiecesWriter:
        """Look whether the upload is still open."""
        parse_key(key)
        known = PiecesState.of_size(state, size, self._service.name)
        if size == 0 and self._service.head(key) is not None:
            raise UploadMissing("The upload is committed already.")
        if size and not self._service.holds_pieces(key, known):
            raise UploadMissing
        return PiecesWriter(
            self._service,
            key,
            known,
            schedule=self._schedule,
            memory=self._memory,
            threads=self._threads.get(),
        )

    def commit(self, key: str, state: UploadState, size: int) -> None:
        """Join the pieces, looking for an earlier success when that fails."""
        parse_key(key)
        known = PiecesState.of_size(state, size, self._service.name)
        with translated("store the blob"):
            failpoints.reach("storage.commit.synced")
        try:
            self._service.join(key, known)
        except (UploadMissing, StorageFailed):
            facts = self._service.head(key)
            if facts is None or (facts.mark, facts.size) != (known.mark, known.size):
                raise
        with translated("store the blob"):
            failpoints.reach("storage.commit.done")
        # The blob is stored. A piece that stays is found when the blob goes.
        with suppress(StorageFailed):
            self._service.clean(key)

    def abort(self, key: str, state: UploadState) -> None:
        """Drop all pieces of ``key``, also those no state names."""
        parse_key(key)
        self._service.discard(key)

    def open_blob(self, key: str) -> PiecesReader:
        """Open a blob. Raises BlobMissing."""
        parse_key(key)
        return PiecesReader(self._service, key)

    def stat(self, key: str) -> int | None:
        """Return the size of a blob, None when there is none."""
        parse_key(key)
        facts = self._service.head(key)
        return None if facts is None else facts.size

    def delete(self, key: str) -> None:
        """Remove a blob."""
        parse_key(key)
        self._service.delete(key)

    def redirect_url(self, key: str, *, lifetime_seconds: int) -> str | None:
        """Return a link to the bytes at the service; None where none can be signed."""
        parse_key(key)
        return self._service.link(key, lifetime_seconds)

    def list_blobs(self) -> Iterator[StoredObject]:
        """Walk over the blobs."""
        return self._service.list_blobs()

    def list_uploads(self) -> Iterator[StoredObject]:
        """Walk over the uploads that have pieces."""
        return self._service.list_uploads()

    def free_bytes(self) -> int | None:
        """None: a bucket has no end that anybody knows."""
        return None

    def total_bytes(self) -> int | None:
        """None, for the same reason."""
        return None

    def check(self) -> None:
        """Send a small blob through every kind of request."""
        probe_id = token_hex(16)
        key = f"blobs/{probe_id[-2:]}/{probe_id}"
        try:
            self._try_out(key)
        except StorageFailed as error:
            raise StorageMisconfigured(self._service.sentence(error)) from error
        finally:
            # What refuses this holds no probe either, and the fault that matters is on its way.
            with suppress(DomainError):
                self._service.discard(key)
                self._service.delete(key)

    def _try_out(self, key: str) -> None:
        """Raise StorageFailed or StorageMisconfigured at the first thing that does not work."""
        writer = self.open_writer(key, self.start(key), 0)
        try:
            writer.write(b"probe")
            state = PiecesState.of_size(writer.sync(), 5, self._service.name)
        finally:
            writer.close()
        listed = [upload.key for upload in self._service.list_uploads(key)]
        if listed != [key] or not self._service.holds_pieces(key, state):
            raise StorageMisconfigured("The blob storage loses what it was given.")
        self._service.join(key, state)
        with suppress(UploadMissing):
            self._service.join(key, PiecesState(self._service.name))
            raise StorageMisconfigured("The blob storage replaces a blob although asked not to.")
        reader = self.open_blob(key)
        if reader.size != 5 or reader.read(1, 3) != b"rob":
            raise StorageMisconfigured("The blob storage does not give back what it was given.")
        reader.close()
        self._service.clean(key)
        self._service.delete(key)
