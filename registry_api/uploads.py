"""/v2/<name>/blobs/uploads/: bringing blobs in (end-4, 5, 6, 11, 13 and 14).

The address of an upload holds no offset, because clients use an old one again. A chunk with
Content-Range is stored whole or not at all; a stream without one keeps what is durable, so
that its client can go on from there.
"""

from functools import partial
from uuid import UUID

from starlette.responses import Response

from core.artifacts.services.blobs import find_committed_upload, finish_upload
from core.authn.rules import UPLOAD_GRACE
from core.blobs import services as blobs
from core.blobs.errors import UploadTaken, UploadUnknown
from core.blobs.sessions import UploadSession
from core.oci.digest import Digest
from core.storage.selection import default_driver
from core.system_settings import queries as system_settings
from core.system_settings.errors import SystemReadOnly
from registry_api import auth
from registry_api.auth import Admission
from registry_api.calls import Call
from registry_api.challenges import PUSH
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
from registry_api.deliveries import Delivery, as_seen_by, deliver, key_of
from registry_api.errors import RegistryError
from registry_api.mounts import mount_blob
from registry_api.space import ensure_space
from registry_api.streaming import finish_regardless
from registry_api.threads import Work, in_thread


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
        response = accepted(admission, upload_id, 0)
        if (least := default_driver().least_chunk_bytes) is not None:
            response.headers["OCI-Chunk-Min-Length"] = str(least)
        return response
    return await finish_regardless(_take_whole(call, admission, upload_id, digest))


async def patch_upload(call: Call) -> Response:
    """Append a chunk or a stream to the upload (end-5)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    delivery = Delivery(call, admission, upload_id_of(call), chunk_of(call))
    size = await deliver(delivery, UploadSession.suspend, keeps_part=delivery.chunk is None)
    return accepted(admission, delivery.upload_id, size)


async def put_upload(call: Call) -> Response:
    """Take the last bytes, if any, and turn the upload into a blob (end-6)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    upload_id, digest, chunk = upload_id_of(call), digest_of(call), chunk_of(call)
    finish = partial(finish_upload, digest=digest, actor=admission.actor)
    try:
        await deliver(Delivery(call, admission, upload_id, chunk), finish, keeps_part=False)
    except (UploadUnknown, UploadTaken, RegistryError) as error:
        if isinstance(error, RegistryError) and error.status != 401:
            raise
        # The answer to an earlier closing request may have been lost on its way, or two
        # came at once.
        if not await in_thread(
            Work.TRANSFER,
            find_committed_upload,
            upload_id,
            str(admission.name),
            admission.actor.subject,
            digest,
        ):
            raise
    return created(admission, digest)


def get_upload(call: Call) -> Response:
    """Tell how far the upload has come (end-13)."""
    admission = auth.admit(call, PUSH, grace=UPLOAD_GRACE)
    with as_seen_by(call, admission):
        facts = blobs.get_upload(upload_id_of(call), **key_of(admission))
    return Response(None, 204, progress_headers(admission, facts.id, facts.size_bytes))


async def delete_upload(call: Call) -> Response:
    """Cancel the upload (end-14)."""
    admission = await auth.admitted(call, PUSH, grace=UPLOAD_GRACE)
    with as_seen_by(call, admission):
        upload_id = upload_id_of(call)
        await in_thread(Work.COMMIT, blobs.cancel_upload, upload_id, **key_of(admission))
    return Response(None, 204)


async def _take_whole(
    call: Call, admission: Admission, upload_id: UUID, digest: Digest
) -> Response:
    """Finish in the request that began it; nothing is left behind when that fails."""

    def finish(session: UploadSession) -> bool:
        if not session.size_bytes and digest != Digest.of(b"", digest.algorithm):
            return False
        finish_upload(session, digest, actor=admission.actor)
        return True

    try:
        delivery = Delivery(call, admission, upload_id, chunk=None)
        is_finished = await deliver(delivery, finish, keeps_part=False)
    except BaseException:
        await in_thread(Work.COMMIT, _drop, admission, upload_id)
        raise
    return created(admission, digest) if is_finished else accepted(admission, upload_id, 0)


def _start(admission: Admission, algorithm: str) -> UUID:
    ensure_space()
    if system_settings.current().read_only:
        # The commit would be refused; this spares the client the transfer.
        raise SystemReadOnly
    return blobs.start_upload(
        project_id=admission.project_id,
        repository_name=str(admission.name),
        actor_subject=admission.actor.subject,
        algorithm=algorithm,
    ).id


def _drop(admission: Admission, upload_id: UUID) -> None:
    """Remove what a failed request left, if it did not do so itself."""
    try:
        blobs.cancel_upload(upload_id, **key_of(admission))
    except UploadUnknown:
        return
