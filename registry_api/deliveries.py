"""Bringing the body of a request to its upload, and ending the request's work there.

Most bodies fit into a buffer, or there is none. These are received first; then one thread
claims the upload, writes, makes durable, records and lets go, without a way back in between.
Longer ones, and those of slow clients, are written while they come.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, ParamSpec, TypedDict, TypeVar
from uuid import UUID

from starlette.requests import ClientDisconnect

from core.blobs import services as blobs
from core.blobs.errors import RangeMismatch, UploadTaken, UploadUnknown
from core.blobs.sessions import UploadSession
from core.oci.content_range import ContentRange
from core.quotas.errors import QuotaExceeded
from core.usage.queries import ensure_room
from registry_api.auth import Admission
from registry_api.calls import Call
from registry_api.challenges import INVALID_TOKEN, challenge
from registry_api.chunks import digest_of, progress_headers
from registry_api.errors import RegistryError
from registry_api.space import NoSpace, ensure_space
from registry_api.streaming import (
    BUFFER_BYTES,
    Beginning,
    finish_regardless,
    receive_beginning,
    store_body,
)
from registry_api.threads import Work, in_thread

CLAIM_WAIT_SECONDS: Final = 2.0
"""How long a writer waits for the one before it, whose lost connection shows only slowly."""

_CLAIM_POLL_SECONDS: Final = 0.05

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
End = Callable[[UploadSession], Result]
"""The last work on a session: runs in a thread, behind the body's last byte."""


class UploadKey(TypedDict):
    """Whose upload, and into which repository: neither may be another's."""

    repository_name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a request brings, and to which upload; ``chunk`` is None for a stream."""

    call: Call
    admission: Admission
    upload_id: UUID
    chunk: ContentRange | None

    @property
    def has_body(self) -> bool:
        """Whether anything is to be written."""
        return self.call.announces_body or self.chunk is not None

    def progress_headers(self, size: int) -> dict[str, str]:
        """Return where the upload goes on."""
        return dict(progress_headers(self.admission, self.upload_id, size))

    def ensure_complete(self, received: int) -> None:
        """Hold a chunk to its range. Raises RegistryError."""
        if self.chunk is not None and received != self.chunk.length:
            relation = "shorter" if received < self.chunk.length else "longer"
            raise RegistryError("SIZE_INVALID", f"The body is {relation} than its Content-Range.")


class _Occupied(Exception):
    """Somebody else is writing the upload; nothing has been done."""


async def deliver(delivery: Delivery, end: End[Result], *, keeps_part: bool) -> Result:
    """Write the body to the upload as its one writer, then return what ``end`` does.

    After a failure the upload stands where it stood, except that a stream which broke off, or
    for which the space ran low, keeps what had been written (``keeps_part``). Raises what
    ``open_session`` does, ClientDisconnect, NoSpace, RegistryError, and what the session and
    ``end`` raise.
    """
    call = delivery.call
    if not delivery.has_body:
        return await _patiently(_write_at_once, delivery, Beginning(is_whole=True), end)
    # A client that waits for permission would rather not send what is refused.
    beginning = Beginning() if call.waits_for_permission else await receive_beginning(call)
    return await finish_regardless(_bring(delivery, beginning, end, keeps_part))


async def _bring(
    delivery: Delivery, beginning: Beginning, end: End[Result], keeps_part: bool
) -> Result:
    """Write what has come and what is still to come; nothing of it is held afterwards."""
    try:
        if beginning.is_whole:
            return await _patiently(_write_at_once, delivery, beginning, end)
        return await _write_as_it_comes(delivery, beginning, end, keeps_part)
    finally:
        beginning.held.release()


def _write_at_once(delivery: Delivery, beginning: Beginning, end: End[Result]) -> Result:
    with _open(delivery) as session:
        if delivery.has_body:
            try:
                delivery.ensure_complete(beginning.received)
            except RegistryError as error:
                error.headers.update(delivery.progress_headers(session.size_bytes))
                raise
            if beginning.received:
                session.write(beginning.content)
        return end(session)


async def _write_as_it_comes(
    delivery: Delivery, beginning: Beginning, end: End[Result], keeps_part: bool
) -> Result:
    session = await _patiently(_open_for_long, delivery)
    try:
        await _receive(delivery, session, beginning, keeps_part=keeps_part)
    except BaseException:
        await in_thread(Work.COMMIT, session.release)
        raise
    return await in_thread(Work.COMMIT, _end_and_release, session, end)


def _end_and_release(session: UploadSession, end: End[Result]) -> Result:
    with session:
        return end(session)


async def _receive(
    delivery: Delivery, session: UploadSession, beginning: Beginning, *, keeps_part: bool
) -> None:
    call, chunk, began_at = delivery.call, delivery.chunk, session.size_bytes
    limit = chunk.length if chunk is not None else call.content_length
    try:
        received = await store_body(call, session, beginning, limit=limit)
        delivery.ensure_complete(received)
    except ClientDisconnect:
        undo = session.checkpoint if keeps_part else session.rollback
        await in_thread(Work.COMMIT, undo)
        raise
    except NoSpace as error:
        undo = session.checkpoint if keeps_part else session.rollback
        await in_thread(Work.COMMIT, undo)
        error.headers.update(delivery.progress_headers(session.size_bytes))
        raise
    except RegistryError as error:
        await in_thread(Work.COMMIT, session.rollback)
        error.headers.update(delivery.progress_headers(began_at))
        raise
    except BaseException:
        await in_thread(Work.COMMIT, session.rollback)
        raise


async def _patiently(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run what begins by claiming the upload, once the writer before lets go of it.

    Waits in the event loop, not in a thread that others need. Raises UploadTaken.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + CLAIM_WAIT_SECONDS
    while True:
        try:
            return await in_thread(Work.COMMIT, function, *args, **kwargs)
        except _Occupied as error:
            if loop.time() >= give_up_at:
                raise UploadTaken from error
        await asyncio.sleep(_CLAIM_POLL_SECONDS)


def _open(delivery: Delivery) -> UploadSession:
    """Become the upload's one writer. Raises _Occupied when there is another."""
    ensure_space()
    admission, chunk = delivery.admission, delivery.chunk
    try:
        with as_seen_by(delivery.call, admission):
            return blobs.open_session(
                delivery.upload_id,
                expected_offset=chunk.start if chunk is not None else None,
                **key_of(admission),
            )
    except UploadTaken as error:
        raise _Occupied from error
    except RangeMismatch as error:
        raise RegistryError(
            "BLOB_UPLOAD_INVALID",
            error.message,
            status=416,
            headers=delivery.progress_headers(error.size_bytes),
        ) from error


def _open_for_long(delivery: Delivery) -> UploadSession:
    """Do the same for bytes that take their time, unless the project has no room for them.

    What ends the upload is judged when it is committed; this spares clients from sending it in
    vain. Raises QuotaExceeded as well, and the upload is gone then.
    """
    announced, call = delivery.call.content_length, delivery.call
    session = _open(delivery)
    if announced is None or announced < BUFFER_BYTES:
        return session
    # A stream that does not end the upload may be followed by more, or be any blob.
    digest = digest_of(call) if call.method != "PATCH" else None
    with ExitStack() as undo:
        undo.callback(session.release)
        try:
            ensure_room(delivery.admission.project_id, session.size_bytes + announced, digest)
        except QuotaExceeded:
            session.discard()
            raise
        undo.pop_all()
    return session


def key_of(admission: Admission) -> UploadKey:
    """Return what belongs to the id of an upload."""
    return {"repository_name": str(admission.name), "owner": admission.actor.subject}


@contextmanager
def as_seen_by(call: Call, admission: Admission) -> Iterator[None]:
    """Hold an expired token to what it is still good for: uploads of its own subject."""
    try:
        yield
    except UploadUnknown:
        if admission.caller.has_expired_token:
            raise challenge(call, error=INVALID_TOKEN) from None
        raise
