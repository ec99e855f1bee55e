"""Reading objects: one after another piece from one answer, going on where a connection broke."""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.storage.errors import BlobMissing, StorageFailed
from core.storage.s3.bucket import Bucket
from core.storage.s3.failures import pause_seconds, translated

if TYPE_CHECKING:
    from botocore.response import StreamingBody

_COPY_BYTES = 1 << 20
_STEP_BYTES = 256 << 10
"""What is lost at most when a connection breaks."""


class ResumingStream:
    """Bytes of one object from ``position`` up to ``end``. For one thread at a time."""

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        etag: str,
        position: int,
        end: int,
        body: "StreamingBody | None" = None,
    ) -> None:
        """Begin with ``body``, an answer whose first byte is at ``position``, if there is one."""
        self._bucket = bucket
        self._name = name
        self._etag = etag
        self._body = body
        self._end = end
        self.position = position

    def read(self, length: int) -> bytes:
        """Return ``length`` bytes, fewer only at the end.

        A failure is met by asking for the rest again. Raises BlobMissing, or StorageFailed
        after as many failures in a row as a request has attempts.
        """
        pieces: list[bytes] = []
        missing = min(length, self._end - self.position)
        failures = 0
        while missing:
            try:
                piece = self._read_some(min(missing, _STEP_BYTES))
            except StorageFailed:
                self.close()
                failures += 1
                if failures >= self._bucket.options.attempts:
                    raise
                time.sleep(pause_seconds(failures - 1))
                continue
            failures = 0
            pieces.append(piece)
            self.position += len(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the connection. May be repeated."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _read_some(self, length: int) -> bytes:
        if self._body is None:
            found = self._bucket.get(self._name, self.position, self._end, self._etag)
            if found is None:
                raise BlobMissing
            self._body = found[0]
        with translated("read the blob"):
            piece = self._body.read(length)
        if not piece:
            raise StorageFailed("The blob storage ended its answer early.", retry_after_seconds=5)
        return piece


def read_pieces(bucket: Bucket, name: str, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` bytes of a small object. Raises BlobMissing, also when shorter."""
    found = bucket.get(name)
    if found is None:
        raise BlobMissing
    body, facts = found
    stream = ResumingStream(bucket, name, facts.etag, 0, size, body)
    try:
        if facts.size < size:
            raise BlobMissing
        while piece := stream.read(_COPY_BYTES):
            yield piece
    finally:
        stream.close()


class S3BlobReader:
    """Reads one object. See ``BlobReader``. Threads may share it; they take turns.

    Opening asks for the whole object, which serves a reader that goes from start to end with
    one request. Another range is asked for by itself, and once it is read on from there, so is
    everything that follows.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        """Open the object. Raises BlobMissing."""
        found = bucket.get(name)
        if found is None:
            raise BlobMissing
        body, facts = found
        self._bucket = bucket
        self._name = name
        self._facts = facts
        self._lock = threading.Lock()
        self._read_up_to = 0
        self._stream: ResumingStream | None = self._streaming(0, facts.size, body)
        self._is_closed = False

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._facts.size

    @property
    def file(self) -> None:
        """None: there is no file."""

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer only at the end of the object."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        with self._lock:
            if self._is_closed:
                raise StorageFailed("This reader is closed.", retry_after_seconds=5)
            stream = self._stream
            if stream is None or stream.position != offset:
                self._drop_stream()
                goes_on = offset == self._read_up_to
                stream = self._streaming(offset, self.size if goes_on else end)
                if goes_on:
                    self._stream = stream
            try:
                piece = stream.read(end - offset)
            finally:
                if stream is not self._stream:
                    stream.close()
            self._read_up_to = end
        return piece

    def close(self) -> None:
        """Let go of the connection. May be repeated."""
        with self._lock:
            self._is_closed = True
            self._drop_stream()

    def _streaming(
        self, start: int, end: int, body: "StreamingBody | None" = None
    ) -> ResumingStream:
        return ResumingStream(self._bucket, self._name, self._facts.etag, start, end, body)

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
