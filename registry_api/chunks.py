"""What requests to an upload say, and what the answers tell about its progress."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from starlette.responses import Response

from core.blobs.errors import UploadUnknown
from core.oci.content_range import ContentRange, parse_content_range
from core.oci.digest import SUPPORTED, Digest
from registry_api.auth import Admission
from registry_api.calls import Call
from registry_api.errors import RegistryError

_NO_BODY: Final = {"Content-Length": "0"}


def upload_id_of(call: Call) -> UUID:
    """Return the id in the path. Raises UploadUnknown for anything but an id of ours."""
    text = call.location.item
    try:
        upload_id = UUID(text)
    except ValueError as error:
        raise UploadUnknown from error
    # The class takes braces and other spellings too; addresses of ours have one.
    if str(upload_id) != text:
        raise UploadUnknown
    return upload_id


def digest_of(call: Call) -> Digest:
    """Return the digest that ends an upload. Raises DigestInvalid, RegistryError."""
    text = call.parameter("digest")
    if text is None:
        raise RegistryError("DIGEST_INVALID", "The parameter digest is missing.")
    return Digest.parse(text)


def algorithm_of(call: Call) -> str:
    """Return the algorithm to hash with while bytes arrive. Raises RegistryError."""
    algorithm = call.parameter("digest-algorithm") or SUPPORTED[0]
    if algorithm not in SUPPORTED:
        message = f"The digest algorithm must be one of {', '.join(SUPPORTED)}."
        raise RegistryError("DIGEST_INVALID", message)
    return algorithm


def chunk_of(call: Call) -> ContentRange | None:
    """Return where the body belongs, None for a stream.

    Raises ContentRangeInvalid, and RegistryError when the body cannot be of that length.
    """
    header = call.headers.get("content-range")
    if header is None:
        return None
    chunk = parse_content_range(header)
    length = call.content_length
    if length is not None and length != chunk.length:
        raise RegistryError("SIZE_INVALID", "Content-Range and Content-Length disagree.")
    return chunk


def may_be_whole(call: Call, digest: Digest) -> bool:
    """Tell whether the body can be the blob; without one, only the empty blob can."""
    return call.announces_body or digest == Digest.of(b"", digest.algorithm)


def progress_headers(admission: Admission, upload_id: UUID, size: int) -> Mapping[str, str]:
    """Return where the upload goes on; ``0-0`` also for an empty one, as clients expect."""
    return {
        "Docker-Upload-UUID": str(upload_id),
        "Location": f"/v2/{admission.name}/blobs/uploads/{upload_id}",
        "Range": f"0-{max(size - 1, 0)}",
    }


def accepted(admission: Admission, upload_id: UUID, size: int) -> Response:
    """Return the answer to a request after which the upload goes on."""
    return Response(None, 202, {**progress_headers(admission, upload_id, size), **_NO_BODY})


def created(admission: Admission, digest: Digest) -> Response:
    """Return the answer to a request after which the repository has the blob."""
    headers = {
        "Docker-Content-Digest": str(digest),
        "Location": f"/v2/{admission.name}/blobs/{digest}",
    }
    return Response(None, 201, {**headers, **_NO_BODY})
