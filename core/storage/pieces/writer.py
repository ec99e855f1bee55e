"""The writer: collects bytes into pieces and sends pieces while more bytes come."""

from collections import deque
from concurrent.futures import Executor, Future
from contextlib import suppress
from secrets import token_hex

from core.common import failpoints
from core.common.clock import now
from core.common.errors import DomainError
from core.storage.errors import StorageFailed, StorageFull, translated
from core.storage.part_buffer import BufferMemory, PartBuffer
from core.storage.part_schedule import MIB, PartSchedule
from core.storage.pieces.service import PieceService
from core.storage.pieces.state import PiecesState, Run, piece_name
from core.storage.types import BytesLike, UploadState

PIECES = PartSchedule(
    steps=((16 * MIB, 1_000), (64 * MIB, 4_000), (256 * MIB, 18_000)), minimum_bytes=1
)
"""4.7 TiB at most: Google takes 5 TiB as one object, Azure 50,000 blocks."""

PIECES_IN_FLIGHT = 2
"""Pieces of one upload that are sent at once, while the next one fills."""


class PiecesWriter:
    """Appends to one upload. See ``UploadWriter``."""

    def __init__(
        self,
        service: PieceService,
        key: str,
        state: PiecesState,
        *,
        schedule: PartSchedule,
        memory: BufferMemory,
        threads: Executor,
    ) -> None:
        """Go on from ``state``; no request is sent."""
        self._service = service
        self._key = key
        self._state = state
        self._schedule = schedule
        self._memory = memory
        self._threads = threads
        # The time is what a listing of blocks has no other place for.
        self._token = f"{int(now().timestamp()):08x}{token_hex(8)}"
        self._sending: deque[Future[None]] = deque()
        self._count = 0
        self._sent_bytes = 0
        self._buffer = PartBuffer(memory)
        self._offset = state.size
        self._usable = True

    @property
    def offset(self) -> int:
        """Bytes of the upload so far."""
        return self._offset

    def write(self, data: BytesLike) -> None:
        """Append all of ``data``, or raise and leave ``offset`` where it was."""
        self._ensure_usable()
        with translated("write the upload"), memoryview(data).cast("B") as view:
            failpoints.reach("storage.write")
            self._usable = False
            self._buffer.append(view)
            while self._buffer.size >= (target := self._next_piece_bytes()):
                self._send_piece(target)
            self._offset += len(view)
            self._usable = True

    def sync(self, *, last: bool = False) -> UploadState:
        """Make every byte up to ``offset`` durable; a piece may have any size."""
        self._ensure_usable()
        self._usable = False
        with translated("make the upload durable"):
            failpoints.reach("storage.sync")
            if self._buffer.size:
                self._next_piece_bytes()
                self._send_piece(self._buffer.size)
            self._land(0)
        self._usable = True
        runs = self._state.runs
        if self._count:
            runs = (*runs, Run(self._token, self._count, self._sent_bytes))
        return PiecesState(self._state.driver, runs).to_json()

    def close(self) -> None:
        """Wait for what is being sent. A piece that no state names is never joined."""
        self._usable = False
        self._buffer.close()
        while self._sending:
            with suppress(DomainError):
                self._sending.popleft().result()

    def _ensure_usable(self) -> None:
        if not self._usable:
            raise StorageFailed("This writer is closed or has failed.", retry_after_seconds=5)

    def _next_piece_bytes(self) -> int:
        try:
            return self._schedule.size_of(self._state.count + self._count + 1)
        except ValueError as error:
            raise StorageFull("The upload is larger than the blob storage can take.") from error

    def _send_piece(self, length: int) -> None:
        """Begin to send the first ``length`` bytes of the buffer as the next piece."""
        self._land(PIECES_IN_FLIGHT - 1)
        rest = self._buffer.split(length)
        buffer, self._buffer = self._buffer, rest
        name = piece_name(self._token, self._count)
        self._sending.append(self._threads.submit(self._carry, buffer, name))
        self._count += 1
        self._sent_bytes += length

    def _carry(self, buffer: PartBuffer, name: str) -> None:
        """Send one piece; runs in a thread of its own."""
        try:
            self._service.put_piece(self._key, name, buffer)
        finally:
            buffer.close()

    def _land(self, still_sending: int) -> None:
        """Wait until at most so many pieces are being sent. Raises what sending raised."""
        while len(self._sending) > still_sending:
            self._sending[0].result()
            self._sending.popleft()
