"""Bodies on their way through: pieces, threads and memory that stays flat.

Bytes arriving: while a thread hashes and writes one buffer, the next one fills. Bytes
leaving: the server sends stretches of a file by itself where it can. Elsewhere a thread reads a
piece while the socket takes the previous one, and a slow client holds a small piece only, so that
many of them cost little.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.blobs.sessions import UploadSession
from core.oci.http_range import ByteRange
from core.storage.types import BlobReader, HasFileno
from registry_api.body_memory import BODIES, Holding
from registry_api.calls import Call
from registry_api.errors import RegistryError
from registry_api.space import LOOK_AGAIN_BYTES, ensure_space
from registry_api.threads import Work, start

log = structlog.get_logger(__name__)

BUFFER_BYTES: Final = 1 << 20
SMALL_PIECE_BYTES: Final = 64 << 10
FIRST_PIECE_BYTES: Final = 256 << 10
SLOW_SECONDS: Final = 0.25
"""A buffer that took longer to fill, or a piece to send, belongs to a slow client."""

LINGER_SECONDS: Final = 5.0
LINGER_BYTES: Final = 32 << 20

SEND_FILE: Final = "http.response.zerocopysend"
"""The ASGI extension of servers that send stretches of files by themselves."""

Result = TypeVar("Result")

_unattended: set["asyncio.Task[Any]"] = set()


async def finish_regardless(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to its end even when the request is cancelled because its client left.

    What an upload must do then (make bytes durable, let go of its lock) takes longer than the
    server waits.
    """
    task = asyncio.ensure_future(work)
    _unattended.add(task)
    task.add_done_callback(_forget)
    return await asyncio.shield(task)


def _forget(task: "asyncio.Task[Any]") -> None:
    _unattended.discard(task)
    if not task.cancelled():
        # Marks the exception as seen: whoever still waits for the task gets it as well.
        task.exception()


@dataclass(slots=True)
class Beginning:
    """What has come of a body: all of it, or enough for a first piece of work.

    ``held`` counts its bytes in the memory of all bodies, and is for the receiver to release.
    """

    held: Holding = field(default_factory=lambda: Holding(BODIES))
    pieces: list[bytes] = field(default_factory=list)
    received: int = 0
    is_whole: bool = False

    @property
    def content(self) -> bytes:
        """Everything that has come."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)


async def receive_beginning(call: Call) -> Beginning:
    """Take the body until it has ended or fills a buffer, or until its client proves slow.

    So most requests need a thread only once, and nobody holds a claim while such a body comes.
    For the same reason one that breaks off leaves nothing: its bytes could come to the upload
    behind those of the client's next request. Raises ClientDisconnect.
    """
    beginning = Beginning()
    with ExitStack() as on_failure:
        on_failure.callback(beginning.held.release)
        beginning.is_whole = await _fill(call, beginning)
        on_failure.pop_all()
    return beginning


async def _fill(call: Call, beginning: Beginning) -> bool:
    """Return True when the body has ended. Raises ClientDisconnect."""
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    while not call.body_has_ended():
        is_enough = beginning.received >= BUFFER_BYTES or beginning.held.must_write
        if is_enough or loop.time() - began_at > SLOW_SECONDS:
            return False
        piece = await _next_piece(call, beginning.held, keeps_none=not beginning.received)
        if piece is None:
            return False
        if piece:
            beginning.pieces.append(piece)
            beginning.received += len(piece)
    return True


async def _next_piece(call: Call, held: Holding, *, keeps_none: bool) -> bytes | None:
    """Return the next piece, counted; None when it does not come at once and others wait.

    Whoever keeps bytes that are not being written (not ``keeps_none``) must see to these then.
    """
    if keeps_none:
        await held.wait_for_room()
        piece = await call.receive()
    else:
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                piece = await call.receive()
        except TimeoutError:
            return None
    held.take(len(piece))
    return piece


async def store_body(
    call: Call, session: UploadSession, beginning: Beginning, *, limit: int | None
) -> int:
    """Write the whole body of a request to the upload and return its length in bytes.

    Nothing is durable before the caller's checkpoint. Raises ClientDisconnect when the client
    left early, NoSpace, RegistryError when the body is longer than ``limit`` bytes, and
    whatever the session raises. No thread uses the session any more when this returns or raises.
    """
    loop = asyncio.get_running_loop()
    held = beginning.held
    pieces, beginning.pieces = beginning.pieces, []
    received = waiting = beginning.received
    unchecked = 0
    writing: asyncio.Future[None] | None = None
    filling_since = loop.time()
    is_stalled = False
    try:
        while True:
            if limit is not None and received > limit:
                raise RegistryError("SIZE_INVALID", "The body is longer than announced.")
            is_slow = is_stalled or loop.time() - filling_since > SLOW_SECONDS
            if waiting >= BUFFER_BYTES or (waiting and (is_slow or held.must_write)):
                if writing is not None:
                    await writing
                unchecked += waiting
                if unchecked >= LOOK_AGAIN_BYTES:
                    await start(Work.TRANSFER, ensure_space)
                    unchecked = 0
                writing = _start_writing(session, pieces, held)
                pieces, waiting, filling_since = [], 0, loop.time()
            if call.body_has_ended():
                break
            piece = await _next_piece(call, held, keeps_none=not waiting)
            is_stalled = piece is None
            if piece:
                pieces.append(piece)
                received += len(piece)
                waiting += len(piece)
    except ClientDisconnect:
        # What did arrive may be worth keeping.
        await _flush(session, pieces, writing, held)
        raise
    except BaseException:
        if writing is not None:
            await asyncio.wait([writing])
        raise
    await _flush(session, pieces, writing, held)
    return received


def _start_writing(
    session: UploadSession, pieces: list[bytes], held: Holding
) -> "asyncio.Future[None]":
    """Write the pieces in a thread; they count until that has ended."""
    size = sum(map(len, pieces))
    writing = start(Work.TRANSFER, _write, session, pieces)
    writing.add_done_callback(lambda _writing: held.give_back(size))
    return writing


async def _flush(
    session: UploadSession,
    pieces: list[bytes],
    writing: "asyncio.Future[None] | None",
    held: Holding,
) -> None:
    if writing is not None:
        await writing
    if pieces:
        await _start_writing(session, pieces, held)


def _write(session: UploadSession, pieces: Sequence[bytes]) -> None:
    if pieces:
        session.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))


async def linger(call: Call) -> None:
    """Take what a refused client still sends, within bounds, after it has been answered.

    Closing a connection while bytes arrive resets it, and the client may lose the answer. A
    client that waits for 100 Continue sends nothing.
    """
    if call.body_has_ended() or (call.waits_for_permission and not call.body_was_asked_for):
        return
    taken = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while not call.body_has_ended() and taken < LINGER_BYTES:
                taken += len(await call.receive())
    except (TimeoutError, ClientDisconnect):
        return


class BlobResponse(Response):
    """Sends parts of a stored blob, with literal bytes between them.

    Takes over the reader and closes it. Stops when the client leaves.
    """

    def __init__(
        self,
        call: Call,
        reader: BlobReader,
        parts: Sequence[bytes | ByteRange],
        *,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, status, headers)
        self._call = call
        self._reader = reader
        self._parts = parts
        self._pending: asyncio.Future[bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        watch = asyncio.ensure_future(self._call.left())
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if SEND_FILE in scope.get("extensions", {}) and self._reader.file is not None:
                is_sent = await self._send_from_file(self._reader.file, send)
            else:
                is_sent = await self._send_parts(watch, send)
            if is_sent:
                return
            log.info("blob_download_abandoned", request_id=self._call.request_id)
        finally:
            watch.cancel()
            self._close()

    async def _send_from_file(self, file: HasFileno, send: Send) -> bool:
        """Let the server send the parts by itself. Return False when the client left."""
        try:
            for part in self._parts:
                if isinstance(part, bytes):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                else:
                    await send(
                        {
                            "type": SEND_FILE,
                            "file": file,
                            "offset": part.start,
                            "count": part.length,
                            "more_body": True,
                        }
                    )
        except (ConnectionError, TimeoutError):
            return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def _send_parts(self, watch: "asyncio.Future[None]", send: Send) -> bool:
        """Return False when the client left before the end."""
        for part in self._parts:
            if isinstance(part, bytes):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            elif not await self._send_range(part, watch, send):
                return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def _send_range(self, part: ByteRange, watch: "asyncio.Future[None]", send: Send) -> bool:
        loop = asyncio.get_running_loop()
        offset, end, length = part.start, part.end + 1, FIRST_PIECE_BYTES
        following = self._read(offset, min(length, end - offset))
        while True:
            piece = await following
            if not piece:
                # Shorter than its row says: cut the answer off rather than fill it up.
                raise EOFError("A stored blob ended early.")
            offset += len(piece)
            if watch.done():
                return False
            is_last = offset >= end
            if not is_last:
                following = self._read(offset, min(length, end - offset))
            began = loop.time()
            try:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            except OSError:
                return False
            if is_last:
                return True
            is_slow = loop.time() - began > SLOW_SECONDS
            length = SMALL_PIECE_BYTES if is_slow else BUFFER_BYTES

    def _read(self, offset: int, length: int) -> "asyncio.Future[bytes]":
        self._pending = start(Work.TRANSFER, self._reader.read, offset, length)
        return self._pending

    def _close(self) -> None:
        """Close the reader, after the thread that may still use it."""
        if self._pending is None or (self._pending.done() and not self._pending.cancelled()):
            self._reader.close()
        else:
            self._pending.add_done_callback(lambda _future: self._reader.close())
