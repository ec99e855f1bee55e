"""/v2/<name>/blobs/uploads/: bringing blobs in (end-4, 5, 6, 11, 13 and 14).

The address of an upload holds no offset, because clients use an old one again. A chunk with
Content-Range is stored whole or not at all; a stream without one keeps what is durable, so
that its client can go on from there.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypedDict
from uuid import UUID

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from core.artifacts.services.blobs import find_committed_upload, finish_upload
from core.authn.rules import UPLOAD_GRACE
from core.blobs import services as blobs
from core.blobs.errors import RangeMismatch, UploadTaken, UploadUnknown
from core.blobs.sessions import UploadSession
from core.oci.content_range import ContentRange
from core.oci.digest import Digest
from registry_api import auth
from registry_api.auth import Admission
from registry_api.calls import Call
from registry_api.challenges import INVALID_TOKEN, PUSH, challenge
from registry_api.chunks import (
    accepted,
    algorithm_of,
    chunk_of,
    created,
    digest_of,
    may_be_whole,
    progress_headers,
    upload_id_of,
)
from registry_api.errors import RegistryError
from registry_api.mounts import mount_blob
from registry_api.space import NoSpace, ensure_space
from registry_api.streaming import finish_regardless, store_body
from registry_api.threads import Work, in_thread

CLAIM_WAIT_SECONDS: Final = 2.0
"""How long a writer waits for the one before it, whose lost connection shows only slowly."""

_CLAIM_POLL_SECONDS: Final = 0.05


class UploadKey(TypedDict):
    """Whose upload, and into which repository: neither may be another's."""

    repository_name: str
    owner: str


async def start_upload(call: Call) -> Response:
    """Begin an upload, mount a blob, or take a whole blob in one request (end-4, end-11)."""
    admission = await auth.admitted(call, PUSH)
    if call.parameter("mount") is not None:
        mounted = await in_thread(Work.COMMIT, mount_blob, call, admission)
        if mounted is not None:
            return created(admission, mounted.digest)
    digest = digest_of(call) if call.parameter("digest") is not None else None
    algorithm = digest.algorithm if digest else algorithm_of(call)
    upload_id = await in_thread(Work.COMMIT, _start, admission, algorithm)
    if digest is None or not may_be_whole(call, digest):
        return accepted(admission, upload_id, 0)
    return await finish_regardless(_take_whole(call, admission, upload_id, digest))


async def patch_upload(call: Call) -> Response:
    """Append a chunk or a stream to the upload (end-5)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    upload_id, chunk = upload_id_of(call), chunk_of(call)
    return await finish_regardless(_append(call, admission, upload_id, chunk))


async def put_upload(call: Call) -> Response:
    """Take the last bytes, if any, and turn the upload into a blob (end-6)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    upload_id, digest, chunk = upload_id_of(call), digest_of(call), chunk_of(call)
    return await finish_regardless(_close(call, admission, upload_id, digest, chunk))


def get_upload(call: Call) -> Response:
    """Tell how far the upload has come (end-13)."""
    admission = auth.admit(call, PUSH, grace=UPLOAD_GRACE)
    with _as_seen_by(call, admission):
        facts = blobs.get_upload(upload_id_of(call), **_key(admission))
    return Response(None, 204, progress_headers(admission, facts.id, facts.size_bytes))


async def delete_upload(call: Call) -> Response:
    """Cancel the upload (end-14)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    with _as_seen_by(call, admission):
        upload_id = upload_id_of(call)
        await in_thread(Work.COMMIT, blobs.cancel_upload, upload_id, **_key(admission))
    return Response(None, 204)


async def _take_whole(
    call: Call, admission: Admission, upload_id: UUID, digest: Digest
) -> Response:
    """Finish in the request that began it; nothing is left behind when that fails."""
    try:
        session = await _open(call, admission, upload_id, None)
        try:
            received = await store_body(call, session, limit=call.content_length)
            if not received and digest != Digest.of(b"", digest.algorithm):
                return accepted(admission, upload_id, 0)
            await in_thread(Work.COMMIT, finish_upload, session, digest, actor=admission.actor)
        finally:
            await in_thread(Work.COMMIT, session.release)
    except BaseException:
        await in_thread(Work.COMMIT, _drop, admission, upload_id)
        raise
    return created(admission, digest)


async def _append(
    call: Call, admission: Admission, upload_id: UUID, chunk: ContentRange | None
) -> Response:
    session = await _open(call, admission, upload_id, chunk)
    try:
        await _receive(call, admission, session, chunk, keeps_part=chunk is None)
        size = await in_thread(Work.COMMIT, session.checkpoint)
    finally:
        await in_thread(Work.COMMIT, session.release)
    return accepted(admission, upload_id, size)


async def _close(
    call: Call,
    admission: Admission,
    upload_id: UUID,
    digest: Digest,
    chunk: ContentRange | None,
) -> Response:
    try:
        session = await _open(call, admission, upload_id, chunk)
        try:
            await _receive(call, admission, session, chunk, keeps_part=False)
            await in_thread(Work.COMMIT, finish_upload, session, digest, actor=admission.actor)
        finally:
            await in_thread(Work.COMMIT, session.release)
    except (UploadUnknown, UploadTaken, RegistryError) as error:
        if isinstance(error, RegistryError) and error.status != 401:
            raise
        # The answer to an earlier closing request may have been lost on its way, or two
        # came at once.
        key = _key(admission)
        if not await in_thread(
            Work.LOOKUP,
            find_committed_upload,
            upload_id,
            key["repository_name"],
            key["owner"],
            digest,
        ):
            raise
    return created(admission, digest)


async def _receive(
    call: Call,
    admission: Admission,
    session: UploadSession,
    chunk: ContentRange | None,
    *,
    keeps_part: bool,
) -> None:
    """Write the body to the upload.

    After a failure the upload stands where it stood, except that a stream which broke off, or
    for which the space ran low, keeps what had arrived (``keeps_part``).
    """
    if not call.announces_body and chunk is None:
        return
    began_at = session.size_bytes
    limit = chunk.length if chunk is not None else call.content_length
    try:
        received = await store_body(call, session, limit=limit)
        if chunk is not None and received != chunk.length:
            raise RegistryError("SIZE_INVALID", "The body is shorter than its Content-Range.")
    except ClientDisconnect:
        undo = session.checkpoint if keeps_part else session.rollback
        await in_thread(Work.COMMIT, undo)
        raise
    except NoSpace as error:
        undo = session.checkpoint if keeps_part else session.rollback
        await in_thread(Work.COMMIT, undo)
        error.headers.update(progress_headers(admission, session.id, session.size_bytes))
        raise
    except RegistryError as error:
        await in_thread(Work.COMMIT, session.rollback)
        error.headers.update(progress_headers(admission, session.id, began_at))
        raise
    except BaseException:
        await in_thread(Work.COMMIT, session.rollback)
        raise


async def _open(
    call: Call, admission: Admission, upload_id: UUID, chunk: ContentRange | None
) -> UploadSession:
    """Become the upload's writer, once the one before it lets go.

    Waits in the event loop, not in a thread that others need.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + CLAIM_WAIT_SECONDS
    while True:
        try:
            return await in_thread(Work.COMMIT, _try_open, call, admission, upload_id, chunk)
        except UploadTaken:
            if loop.time() >= give_up_at:
                raise
        await asyncio.sleep(_CLAIM_POLL_SECONDS)


def _try_open(
    call: Call, admission: Admission, upload_id: UUID, chunk: ContentRange | None
) -> UploadSession:
    ensure_space()
    try:
        with _as_seen_by(call, admission):
            return blobs.open_session(
                upload_id,
                expected_offset=chunk.start if chunk is not None else None,
                **_key(admission),
            )
    except RangeMismatch as error:
        raise RegistryError(
            "BLOB_UPLOAD_INVALID",
            error.message,
            status=416,
            headers=progress_headers(admission, upload_id, error.size_bytes),
        ) from error


def _start(admission: Admission, algorithm: str) -> UUID:
    ensure_space()
    return blobs.start_upload(
        project_id=admission.project_id,
        repository_name=str(admission.name),
        actor_subject=admission.actor.subject,
        algorithm=algorithm,
    ).id


def _drop(admission: Admission, upload_id: UUID) -> None:
    """Remove what a failed request left, if it did not do so itself."""
    try:
        blobs.cancel_upload(upload_id, **_key(admission))
    except UploadUnknown:
        return


def _key(admission: Admission) -> UploadKey:
    return {"repository_name": str(admission.name), "owner": admission.actor.subject}


@contextmanager
def _as_seen_by(call: Call, admission: Admission) -> Iterator[None]:
    """Hold an expired token to what it is still good for: uploads of its own subject."""
    try:
        yield
    except UploadUnknown:
        if admission.caller.has_expired_token:
            raise challenge(call, error=INVALID_TOKEN) from None
        raise
