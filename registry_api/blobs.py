"""/v2/<name>/blobs/<digest>: reading and deleting blobs (end-2, end-10)."""

from collections.abc import Callable, Sequence
from functools import partial
from secrets import token_hex
from typing import Final, NamedTuple

import structlog
from starlette.responses import Response

from core.artifacts import queries
from core.artifacts.rules import needs_renewal
from core.artifacts.services import blobs as services
from core.artifacts.types import StoredBlob, TargetLookup
from core.common.clock import now
from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag
from core.oci.errors import RangeNotSatisfiable
from core.oci.http_range import ByteRange, parse_range
from core.oci.reference import RepositoryName
from core.storage.errors import BlobMissing
from core.storage.selection import default_driver
from core.storage.types import BlobReader
from registry_api import auth
from registry_api.auth import Caller
from registry_api.calls import Call
from registry_api.challenges import DELETE, PULL
from registry_api.conditions import is_not_modified, range_applies
from registry_api.errors import RegistryError
from registry_api.streaming import FIRST_PIECE_BYTES, BlobResponse
from registry_api.threads import Work, in_thread

log = structlog.get_logger(__name__)

_MEDIA_TYPE: Final = "application/octet-stream"


class _Found(NamedTuple):
    """The blob that a request names, with all that was looked up on the way."""

    caller: Caller
    name: RepositoryName
    repository_id: int
    blob: StoredBlob
    lookup: TargetLookup


async def get_blob(call: Call) -> Response:
    """Answer the blob, or the parts of it that Range asks for; only its headers to HEAD."""
    response, renew_lease = await in_thread(auth.work_of(call), _answer, call)
    if renew_lease is not None and not await in_thread(Work.COMMIT, renew_lease):
        raise RegistryError("BLOB_UNKNOWN", detail={"digest": call.location.item})
    return response


def _answer(call: Call) -> tuple[Response, Callable[[], bool] | None]:
    """Return the answer, and what must succeed before a pusher may be told so."""
    found = _find(call)
    blob, headers = found.blob, _headers(found.blob)
    if is_not_modified(call.headers, blob.digest):
        return Response(None, 304, headers), None
    if call.method != "HEAD":
        return _answer_content(call, blob, headers), None
    is_pusher = auth.is_pusher(found.caller, found.name, found.lookup)
    _ensure_sound(call, blob, is_pusher=is_pusher)
    response = Response(None, 200, headers | {"Content-Length": str(blob.size_bytes)})
    if is_pusher and needs_renewal(blob.leased_until, now()):
        return response, partial(services.renew_lease, found.repository_id, blob)
    return response, None


def _answer_content(call: Call, blob: StoredBlob, headers: dict[str, str]) -> Response:
    ranges = None
    if "range" in call.headers and range_applies(call.headers, blob.digest):
        ranges = _requested_ranges(call, blob)
    reader = _open(call, blob)
    if ranges is None:
        whole = ByteRange(0, blob.size_bytes - 1)
        headers["Content-Length"] = str(blob.size_bytes)
        return _send(call, reader, [whole], 200, headers)
    if len(ranges) == 1:
        headers["Content-Length"] = str(ranges[0].length)
        headers["Content-Range"] = _content_range(ranges[0], blob.size_bytes)
        return _send(call, reader, ranges, 206, headers)
    parts, length, boundary = _multipart(ranges, blob.size_bytes)
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    headers["Content-Length"] = str(length)
    return _send(call, reader, parts, 206, headers)


async def delete_blob(call: Call) -> Response:
    """Take the blob out of this repository; others keep it."""
    admission = await auth.admit_in_thread(call, DELETE)
    digest, name = Digest.parse(call.location.item), str(admission.name)
    await in_thread(Work.COMMIT, services.delete_blob, name, digest, actor=admission.actor)
    return Response(None, 202, {"Content-Length": "0"})


def _find(call: Call) -> _Found:
    caller = auth.identify(call)
    name = call.repository_name()
    digest = Digest.parse(call.location.item)
    auth.require_scope(call, caller, name, PULL)
    lookup = queries.find_blob(str(name), digest, caller.viewer)
    auth.require_current(call, caller, name, PULL, lookup)
    if lookup.repository_id is None:
        raise RegistryError("NAME_UNKNOWN")
    if lookup.blob is None:
        raise RegistryError("BLOB_UNKNOWN", detail={"digest": str(digest)})
    return _Found(caller, name, lookup.repository_id, lookup.blob, lookup)


def _headers(blob: StoredBlob) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Type": _MEDIA_TYPE,
        "Docker-Content-Digest": str(blob.digest),
        "ETag": entity_tag(blob.digest),
    }


def _ensure_sound(call: Call, blob: StoredBlob, *, is_pusher: bool) -> None:
    """See to it that the content is there. Raises RegistryError.

    A pusher is told that a damaged blob is missing, so that it uploads and heals it.
    """
    stored_bytes = default_driver().stat(blob.storage_key)
    if stored_bytes != blob.size_bytes:
        _report_damage(call, blob, stored_bytes)
        raise RegistryError("BLOB_UNKNOWN" if is_pusher else "UNKNOWN")


def _open(call: Call, blob: StoredBlob) -> BlobReader:
    """Open the blob. Raises RegistryError 500 rather than send anything but its bytes."""
    try:
        reader = default_driver().open_blob(blob.storage_key)
    except BlobMissing as error:
        _report_damage(call, blob, None)
        raise RegistryError("UNKNOWN", "The content of the blob is damaged.") from error
    if reader.size != blob.size_bytes:
        reader.close()
        _report_damage(call, blob, reader.size)
        raise RegistryError("UNKNOWN", "The content of the blob is damaged.")
    return reader


def _report_damage(call: Call, blob: StoredBlob, stored_bytes: int | None) -> None:
    log.error(
        "blob_damaged",
        digest=str(blob.digest),
        storage_key=blob.storage_key,
        recorded_bytes=blob.size_bytes,
        stored_bytes=stored_bytes,
        request_id=call.request_id,
    )


def _requested_ranges(call: Call, blob: StoredBlob) -> tuple[ByteRange, ...] | None:
    try:
        return parse_range(call.headers.get("range"), blob.size_bytes)
    except RangeNotSatisfiable as error:
        headers = {"Content-Range": f"bytes */{error.size}", "Accept-Ranges": "bytes"}
        raise RegistryError("RANGE_INVALID", headers=headers) from error


def _send(
    call: Call,
    reader: BlobReader,
    parts: Sequence[bytes | ByteRange],
    status: int,
    headers: dict[str, str],
) -> Response:
    """Return small content at once, in this thread, and anything else as a stream."""
    if int(headers["Content-Length"]) > FIRST_PIECE_BYTES:
        return BlobResponse(call, reader, parts, status=status, headers=headers)
    try:
        body = b"".join(
            part if isinstance(part, bytes) else reader.read(part.start, part.length)
            for part in parts
        )
    finally:
        reader.close()
    if len(body) != int(headers["Content-Length"]):
        raise RegistryError("UNKNOWN", "The content of the blob is damaged.")
    return Response(body, status, headers)


def _content_range(part: ByteRange, size: int) -> str:
    return f"bytes {part.start}-{part.end}/{size}"


def _multipart(ranges: Sequence[ByteRange], size: int) -> tuple[list[bytes | ByteRange], int, str]:
    """Return parts, length in bytes and boundary of a multipart/byteranges body."""
    boundary = token_hex(16)
    parts: list[bytes | ByteRange] = []
    for part in ranges:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {_MEDIA_TYPE}\r\n"
            f"Content-Range: {_content_range(part, size)}\r\n\r\n"
        )
        parts += [head.encode(), part]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    return parts, length, boundary
