"""The writer: collects bytes into parts, sends parts while more bytes come, keeps the rest.

Two writers of one upload, of which one has lost its claim, cannot mix their bytes: tails have
names of their own, and the request that completes the upload lists the ETag of every part, so
one that was replaced makes it fail. The same bytes at the same place have the same ETag.
"""

from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from secrets import token_hex

from core.common import failpoints
from core.common.errors import DomainError
from core.storage.errors import BlobMissing, StorageFailed, StorageFull, UploadMissing
from core.storage.part_buffer import BufferMemory, PartBuffer
from core.storage.s3.bucket import Bucket
from core.storage.s3.failures import translated
from core.storage.s3.reader import read_pieces
from core.storage.s3.state import WHOLE, Part, S3State, Tail, total_size
from core.storage.types import BytesLike, UploadState

PARTS_IN_FLIGHT = 2
"""Parts of one upload that are sent at once, while the next one fills."""

TAILS = 16
"""When there are so many tails, the next one takes them in, so that many small chunks cost
little more than their bytes."""


def collect_tails(bucket: Bucket, key: str, tails: list[Tail], memory: BufferMemory) -> PartBuffer:
    """Return the bytes of the tails. Raises UploadMissing when one is gone."""
    collected = PartBuffer(memory)
    try:
        for tail in tails:
            for piece in read_pieces(bucket, bucket.tail_name(key, tail.name), tail.size):
                with translated("write the upload"):
                    collected.append(piece)
    except BlobMissing as error:
        collected.close()
        raise UploadMissing from error
    except DomainError:
        collected.close()
        raise
    return collected


class S3UploadWriter:
    """Appends to one upload. See ``UploadWriter``."""

    def __init__(self, bucket: Bucket, key: str, state: S3State, memory: BufferMemory) -> None:
        """Go on from ``state``; no request is sent."""
        self._bucket = bucket
        self._key = key
        self._name = bucket.blob_name(key)
        self._schedule = bucket.options.schedule
        self._memory = memory
        self._multipart_id = state.multipart_id
        self._mark = state.mark
        self._is_published = True
        self._replaces_whole = state.replaces_whole
        self._parts = list(state.parts)
        self._sending: deque[Future[Part]] = deque()
        self._tails = list(state.tails)
        self._due = list(state.spent)
        self._spent: list[str] = []
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
            self._send_full_parts()
            self._offset += len(view)
            self._usable = True

    def sync(self, *, last: bool = False) -> UploadState:
        """Make every byte up to ``offset`` durable; with ``last`` in its final place."""
        self._ensure_usable()
        self._usable = False
        with translated("make the upload durable"):
            failpoints.reach("storage.sync")
            self._store_rest(last=last)
            self._land(0)
        self._usable = True
        self._remove_due()
        self._is_published = True
        return S3State(
            multipart_id=self._multipart_id,
            mark=self._mark,
            parts=tuple(self._parts),
            tails=tuple(self._tails),
            spent=(*self._due, *self._spent),
            replaces_whole=self._replaces_whole,
        ).to_json()

    def close(self) -> None:
        """Wait for what is being sent, and drop what no state will ever name."""
        self._usable = False
        self._buffer.close()
        while self._sending:
            with suppress(DomainError):
                self._sending.popleft().result()
        if not self._is_published:
            self._is_published = True
            # What cannot be removed now is found by ``abort`` or by the sweep.
            with suppress(StorageFailed):
                self._bucket.abort_multipart(self._name, self._multipart_id)

    def _ensure_usable(self) -> None:
        if not self._usable:
            raise StorageFailed("This writer is closed or has failed.", retry_after_seconds=5)

    @property
    def _pending_bytes(self) -> int:
        return total_size(self._tails) + self._buffer.size

    def _send_full_parts(self) -> None:
        """Send parts as long as enough remains for a part: the last one is legal then, too."""
        while True:
            target = self._next_part_bytes()
            if self._pending_bytes < target + self._schedule.minimum_bytes:
                return
            self._send_part(target)

    def _next_part_bytes(self) -> int:
        try:
            return self._schedule.size_of(len(self._parts) + len(self._sending) + 1)
        except ValueError as error:
            raise StorageFull("The upload is larger than the blob storage can take.") from error

    def _send_part(self, length: int) -> None:
        """Begin to send the first ``length`` pending bytes as the next part."""
        self._take_in_tails()
        if not self._multipart_id:
            self._mark = token_hex(8)
            self._multipart_id = self._bucket.create_multipart(self._name, self._mark)
            self._is_published = False
        self._land(PARTS_IN_FLIGHT - 1)
        rest = self._buffer.split(length)
        buffer, self._buffer = self._buffer, rest
        number = len(self._parts) + len(self._sending) + 1
        threads = self._bucket.connection.clients.threads
        self._sending.append(threads.submit(self._carry, buffer, number))

    def _carry(self, buffer: PartBuffer, number: int) -> Part:
        """Send one part; runs in a thread of its own."""
        size = buffer.size
        try:
            with translated("write the upload"):
                body = buffer.body()
            etag = self._bucket.upload_part(self._name, self._multipart_id, number, body)
        finally:
            buffer.close()
        return Part(size, etag)

    def _land(self, still_sending: int) -> None:
        """Wait until at most so many parts are being sent. Raises what sending raised."""
        while len(self._sending) > still_sending:
            self._parts.append(self._sending[0].result())
            self._sending.popleft()

    def _take_in_tails(self) -> None:
        """Get the bytes of the tails back, to be sent with those that follow."""
        if not self._tails:
            return
        taken = collect_tails(self._bucket, self._key, self._tails, self._memory)
        taken.append_all(self._buffer)
        self._buffer.close()
        self._buffer = taken
        for tail in self._tails:
            if tail.name == WHOLE:
                self._replaces_whole = True
            else:
                self._spent.append(tail.name)
        self._tails = []

    def _store_rest(self, *, last: bool) -> None:
        """Find a durable place for the bytes that no part and no tail has."""
        if self._buffer.size == 0:
            return
        pending = self._pending_bytes
        number = len(self._parts) + len(self._sending) + 1
        if last and self._may_put_whole():
            self._put_whole()
        elif pending >= self._schedule.minimum_bytes and (last or self._schedule.is_early(number)):
            self._next_part_bytes()
            self._send_part(pending)
        else:
            self._put_tail()

    def _may_put_whole(self) -> bool:
        return (
            self._bucket.options.has_conditional_writes
            and not self._multipart_id
            and not self._replaces_whole
            and not any(tail.name == WHOLE for tail in self._tails)
        )

    def _put_whole(self) -> None:
        """Store everything under the final key; nobody knows the key before the commit."""
        self._take_in_tails()
        mark, size = token_hex(8), self._buffer.size
        if not self._bucket.put_new(self._name, self._buffer.body(), mark):
            facts = self._bucket.head(self._name)
            if facts is None or (facts.mark, facts.size) != (mark, size):
                raise UploadMissing("Another writer of the upload has come first.")
        self._mark = mark
        self._tails = [Tail(WHOLE, size)]
        self._empty_buffer()

    def _put_tail(self) -> None:
        if len(self._tails) >= TAILS:
            self._take_in_tails()
        tail = Tail(f"{self._offset - self._buffer.size}-{token_hex(8)}", self._buffer.size)
        self._bucket.put(self._bucket.tail_name(self._key, tail.name), self._buffer.body())
        self._tails.append(tail)
        self._empty_buffer()

    def _empty_buffer(self) -> None:
        self._buffer.close()
        self._buffer = PartBuffer(self._memory)

    def _remove_due(self) -> None:
        """Remove the tails that were spent already when the writer was opened.

        Those spent since then stay: the caller may yet return to where it opened the writer.
        """
        while self._due:
            try:
                self._bucket.delete(self._bucket.tail_name(self._key, self._due[-1]))
            except StorageFailed:
                # The state keeps the name, and the next writer tries again.
                return
            self._due.pop()
