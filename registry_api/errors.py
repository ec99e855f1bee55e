"""Errors as registry clients know them: one table of codes, one envelope, one mapping.

The codes are those of the distribution specification (section "Error Codes") and the few that
the reference implementation added. Every refusal leaves the registry through ``to_response``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from core.artifacts.errors import ManifestBlobUnknown
from core.common.errors import DomainError, ErrorKind


class Entry(NamedTuple):
    """Status and message that a code stands for unless the error says otherwise."""

    status: int
    message: str


TABLE: Final[Mapping[str, Entry]] = {
    "BLOB_UNKNOWN": Entry(404, "The blob is not known to this repository."),
    "BLOB_UPLOAD_INVALID": Entry(400, "The upload cannot be continued this way."),
    "BLOB_UPLOAD_UNKNOWN": Entry(404, "The upload is not known to this repository."),
    "DENIED": Entry(403, "Access to the resource is denied."),
    "DIGEST_INVALID": Entry(400, "The digest is not valid or does not match the content."),
    "MANIFEST_BLOB_UNKNOWN": Entry(400, "The manifest names content unknown to this repository."),
    "MANIFEST_INVALID": Entry(400, "The manifest is not valid."),
    "MANIFEST_UNKNOWN": Entry(404, "The manifest is not known to this repository."),
    "NAME_INVALID": Entry(400, "The repository name is not valid."),
    "NAME_UNKNOWN": Entry(404, "The repository is not known to this registry."),
    "PAGINATION_NUMBER_INVALID": Entry(400, "The number of results must be zero or more."),
    # Not in the specification; Harbor's clients know it for immutable tags.
    "PRECONDITION": Entry(412, "The current state does not allow this."),
    "RANGE_INVALID": Entry(416, "The requested range is not satisfiable."),
    "SIZE_INVALID": Entry(400, "The length of the content is not what was announced."),
    "TAG_INVALID": Entry(400, "The tag is not valid."),
    "TOOMANYREQUESTS": Entry(429, "Too many requests; try again later."),
    "UNAUTHORIZED": Entry(401, "Authentication is required."),
    "UNAVAILABLE": Entry(503, "The registry cannot do this at the moment; try again later."),
    "UNKNOWN": Entry(500, "The registry failed to answer this request."),
    "UNSUPPORTED": Entry(405, "The operation is not supported."),
}

STATUS_OF_KIND: Final[Mapping[ErrorKind, int]] = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.DENIED: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.UNSUPPORTED: 405,
    ErrorKind.CONFLICT: 409,
    ErrorKind.PRECONDITION: 412,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.RANGE: 416,
    ErrorKind.OVER_LIMIT: 429,
    ErrorKind.UPSTREAM: 502,
    ErrorKind.BUSY: 503,
    ErrorKind.STORAGE_FULL: 507,
    ErrorKind.NOT_IMPLEMENTED: 501,
}

# What a domain error with a code of its own is called on this surface.
CODE_OF_KIND: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.INVALID: "UNSUPPORTED",
    ErrorKind.UNAUTHENTICATED: "UNAUTHORIZED",
    ErrorKind.DENIED: "DENIED",
    ErrorKind.NOT_FOUND: "NAME_UNKNOWN",
    ErrorKind.UNSUPPORTED: "UNSUPPORTED",
    ErrorKind.CONFLICT: "DENIED",
    ErrorKind.PRECONDITION: "DENIED",
    ErrorKind.TOO_LARGE: "SIZE_INVALID",
    ErrorKind.RANGE: "RANGE_INVALID",
    ErrorKind.OVER_LIMIT: "TOOMANYREQUESTS",
    ErrorKind.UPSTREAM: "UNAVAILABLE",
    ErrorKind.BUSY: "UNAVAILABLE",
    ErrorKind.STORAGE_FULL: "UNAVAILABLE",
    ErrorKind.NOT_IMPLEMENTED: "UNSUPPORTED",
}

RETRY_LATER_SECONDS: Final = 1


class RegistryError(Exception):
    """A refusal that this surface itself decides on; ``code`` is a key of ``TABLE``."""

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        status: int | None = None,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        entry = TABLE[code]
        self.code = code
        self.status = status or entry.status
        self.message = message or entry.message
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(self.message)


def error_response(
    code: str,
    message: str | None = None,
    *,
    status: int | None = None,
    details: Iterable[object] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the envelope with one error for each detail, or a single one without any."""
    entry = TABLE[code]
    errors: list[dict[str, object]] = [
        {"code": code, "message": message or entry.message, "detail": detail} for detail in details
    ] or [{"code": code, "message": message or entry.message}]
    return Response(
        json.dumps({"errors": errors}, ensure_ascii=False, separators=(",", ":")) + "\n",
        status or entry.status,
        headers,
        media_type="application/json",
    )


def to_response(error: RegistryError | DomainError) -> Response:
    """Return the answer for a refusal."""
    if isinstance(error, RegistryError):
        details = () if error.detail is None else (error.detail,)
        return error_response(
            error.code,
            error.message,
            status=error.status,
            details=details,
            headers=error.headers,
        )
    return error_response(
        code_of(error),
        error.message,
        status=STATUS_OF_KIND[error.kind],
        details=_details(error),
        headers=_retry_headers(error),
    )


def code_of(error: DomainError) -> str:
    """Return the code under which clients of the registry know a domain error."""
    return error.code if error.code in TABLE else CODE_OF_KIND[error.kind]


def _details(error: DomainError) -> Iterable[object]:
    """Every missing blob gets an error of its own, because clients print only one detail."""
    if isinstance(error, ManifestBlobUnknown):
        return [{"digest": str(digest)} for digest in error.digests]
    return () if error.detail is None else (error.detail,)


def _retry_headers(error: DomainError) -> dict[str, str]:
    seconds = error.retry_after_seconds
    if seconds is None and error.kind is ErrorKind.BUSY:
        seconds = RETRY_LATER_SECONDS
    return {} if seconds is None else {"Retry-After": str(seconds)}
