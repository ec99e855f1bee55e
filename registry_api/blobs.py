"""/v2/<name>/blobs/<digest>: reading and deleting blobs (end-2, end-10)."""

from collections.abc import Sequence
from functools import partial
from secrets import token_hex
from typing import Final

import structlog
from django.conf import settings
from starlette.responses import Response

from core.artifacts.rules import needs_renewal
from core.artifacts.services import blobs as services
from core.artifacts.types import BlobLookup, StoredBlob
from core.blobs.verification import HEALING
from core.common.clock import now
from core.database.read_only import unless_read_only
from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag
from core.oci.errors import RangeNotSatisfiable
from core.oci.http_range import ByteRange, parse_range
from core.oci.reference import RepositoryName
from core.storage.errors import BlobMissing, StorageMisconfigured
from core.storage.selection import driver_of
from core.storage.types import BlobReader
from registry_api import auth
from registry_api.auth import Caller
from registry_api.calls import Call
from registry_api.challenges import DELETE, PULL
from registry_api.conditions import is_not_modified, range_applies
from registry_api.contents import small_content
from registry_api.errors import RegistryError
from registry_api.handover import internal_address
from registry_api.lookups import find_blob
from registry_api.streaming import FIRST_PIECE_BYTES, BlobResponse
from registry_api.threads import Work, in_thread

log = structlog.get_logger(__name__)

_MEDIA_TYPE: Final = "application/octet-stream"

_ADDRESS_LIFETIME_SECONDS: Final = 1200
"""How long a client may wait before it fetches a blob from where it is sent."""


async def get_blob(call: Call) -> Response:
    """Answer the blob, or the parts of it that Range asks for; only its headers to HEAD."""
    caller = await auth.identified(call)
    name = call.repository_name()
    digest = Digest.parse(call.location.item)
    auth.require_scope(call, caller, name, PULL)
    find = partial(find_blob, str(name), digest, caller.subject)
    lookup = await auth.followed(caller, name, find)
    await auth.required_current(call, caller, name, PULL, lookup)
    if lookup.repository_id is None:
        raise RegistryError("NAME_UNKNOWN")
    blob = lookup.blob
    if blob is None:
        raise RegistryError("BLOB_UNKNOWN", detail={"digest": str(digest)})
    headers = _headers(blob)
    if call.method == "HEAD":
        await _ensure_lasting(call, caller, name, lookup, blob)
    if is_not_modified(call.headers, blob.digest):
        return Response(None, 304, headers)
    if call.method == "HEAD":
        return Response(None, 200, headers | {"Content-Length": str(blob.size_bytes)})
    content = None if "range" in call.headers else await small_content(blob)
    if content is not None:
        return Response(content, 200, headers | {"Content-Length": str(len(content))})
    return await in_thread(_storage_work(blob), _answer_content, call, blob, headers)


async def _ensure_lasting(
    call: Call, caller: Caller, name: RepositoryName, lookup: BlobLookup, blob: StoredBlob
) -> None:
    """See to it that whoever is told of the blob may rely on it. Raises RegistryError.

    While the database is read-only no lease is renewed; see ADR 0022.
    """
    is_pusher = await in_thread(
        _storage_work(blob), _is_sound_for_pusher, call, caller, name, lookup, blob
    )
    if not is_pusher or not needs_renewal(blob.leased_until, now()):
        return
    if lookup.repository_id is None:
        raise RegistryError("BLOB_UNKNOWN", detail={"digest": call.location.item})
    renew = partial(services.renew_lease, lookup.repository_id, blob)
    if await in_thread(Work.COMMIT, unless_read_only, renew) is False:
        raise RegistryError("BLOB_UNKNOWN", detail={"digest": call.location.item})


def _storage_work(blob: StoredBlob) -> Work:
    """Return the threads for a look at the storage; a slow one must not hold up look-ups."""
    try:
        is_quick = driver_of(blob.store).reads_are_quick
    except StorageMisconfigured:
        # The work itself meets it, and knows what to answer.
        is_quick = True
    return Work.LOOKUP if is_quick else Work.TRANSFER


def _is_sound_for_pusher(
    call: Call, caller: Caller, name: RepositoryName, lookup: BlobLookup, blob: StoredBlob
) -> bool:
    is_pusher = auth.is_pusher(caller, name, lookup)
    _ensure_sound(call, blob, is_pusher=is_pusher)
    return is_pusher


def _answer_content(call: Call, blob: StoredBlob, headers: dict[str, str]) -> Response:
    ranges = None
    if "range" in call.headers and range_applies(call.headers, blob.digest):
        ranges = _requested_ranges(call, blob)
    if (ranges is None or len(ranges) == 1) and (address := _address_elsewhere(call, blob)):
        digest = headers["Docker-Content-Digest"]
        return Response(None, 307, {"Location": address, "Docker-Content-Digest": digest})
    if address := internal_address(call, blob, ranges):
        _ensure_sound(call, blob, is_pusher=False)
        # nginx would keep it for its own errors as well, when it cannot read the file; its
        # configuration puts it back on what was sent.
        del headers["Cache-Control"]
        return Response(None, 200, headers | {"X-Accel-Redirect": address})
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
    admission = await auth.admitted(call, DELETE)
    digest, name = Digest.parse(call.location.item), str(admission.name)
    wanted = call.headers.list("if-match")
    await in_thread(
        Work.COMMIT, services.delete_blob, name, digest, if_match=wanted, actor=admission.actor
    )
    return Response(None, 202, {"Content-Length": "0"})


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

    A pusher is told that a damaged blob is missing, so that it uploads and heals it; so is one
    that asks for a blob whose storage is gone from the configuration.
    """
    try:
        stored_bytes = driver_of(blob.store).stat(blob.storage_key)
    except StorageMisconfigured:
        if not is_pusher:
            raise
        stored_bytes = None
    if blob.is_damaged or stored_bytes != blob.size_bytes:
        _report_damage(call, blob, stored_bytes)
        raise RegistryError("BLOB_UNKNOWN" if is_pusher else "UNKNOWN")


def _open(call: Call, blob: StoredBlob) -> BlobReader:
    """Open the blob. Raises RegistryError 500 rather than send anything but its bytes."""
    try:
        reader = driver_of(blob.store).open_blob(blob.storage_key)
    except BlobMissing as error:
        _report_damage(call, blob, None)
        raise RegistryError("UNKNOWN", "The content of the blob is damaged.") from error
    if blob.is_damaged or reader.size != blob.size_bytes:
        reader.close()
        _report_damage(call, blob, reader.size)
        raise RegistryError("UNKNOWN", "The content of the blob is damaged.")
    return reader


def _address_elsewhere(call: Call, blob: StoredBlob) -> str | None:
    """Return where the client can fetch the bytes by itself, None where it cannot or must not.

    Raises RegistryError 500 rather than send the client to anything but the blob.
    """
    driver = driver_of(blob.store)
    if not settings.STORAGE_REDIRECT:
        return None
    address = driver.redirect_url(blob.storage_key, lifetime_seconds=_ADDRESS_LIFETIME_SECONDS)
    if address is not None:
        stored_bytes = driver.stat(blob.storage_key)
        if blob.is_damaged or stored_bytes != blob.size_bytes:
            _report_damage(call, blob, stored_bytes)
            raise RegistryError("UNKNOWN", "The content of the blob is damaged.")
    return address


def _report_damage(call: Call, blob: StoredBlob, stored_bytes: int | None) -> None:
    log.error(
        "blob_damaged",
        digest=str(blob.digest),
        store=blob.store,
        storage_key=blob.storage_key,
        recorded_bytes=blob.size_bytes,
        stored_bytes=stored_bytes,
        advice=HEALING,
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
