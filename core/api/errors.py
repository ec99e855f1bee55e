"""The one place that turns a failure into a response of the management API.

Every error has Harbor's envelope ``{"errors": [{"code": ..., "message": ...}]}``. Clients
match on the status and on Harbor's codes, so the code follows from the kind of the error.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core.api.origin import origin_of
from core.common.errors import DomainError, ErrorKind
from core.database.read_only import is_read_only

log = structlog.get_logger(__name__)

RESPONSES: dict[ErrorKind, tuple[int, str]] = {
    ErrorKind.INVALID: (400, "BAD_REQUEST"),
    ErrorKind.UNAUTHENTICATED: (401, "UNAUTHORIZED"),
    ErrorKind.DENIED: (403, "FORBIDDEN"),
    ErrorKind.NOT_FOUND: (404, "NOT_FOUND"),
    ErrorKind.UNSUPPORTED: (405, "METHOD_NOT_ALLOWED"),
    ErrorKind.CONFLICT: (409, "CONFLICT"),
    ErrorKind.PRECONDITION: (412, "PRECONDITION"),
    ErrorKind.TOO_LARGE: (413, "REQUEST_ENTITY_TOO_LARGE"),
    ErrorKind.RANGE: (416, "BAD_REQUEST"),
    ErrorKind.OVER_LIMIT: (429, "TOO_MANY_REQUEST"),
    ErrorKind.UPSTREAM: (502, "UNKNOWN"),
    ErrorKind.BUSY: (503, "UNKNOWN"),
    ErrorKind.STORAGE_FULL: (507, "UNKNOWN"),
    ErrorKind.NOT_IMPLEMENTED: (501, "NOT_IMPLEMENTED"),
}
"""Kind of an error to its status and Harbor's code."""

_CODES_BY_STATUS = {
    **dict(RESPONSES.values()),
    406: "NOT_ACCEPTABLE",
    # Of what the server refuses before any view sees it.
    414: "URI_TOO_LONG",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY",
}
# Harbor calls these otherwise than other refusals of the same status.
_CODES_BY_REFUSAL = {
    "QUOTA_EXCEEDED": "DENIED",
    "READ_ONLY": "DENIED",
    "VIOLATE_FOREIGN_KEY_CONSTRAINT": "VIOLATE_FOREIGN_KEY_CONSTRAINT",
}
CHALLENGE = 'Basic realm="Roadstead", charset="UTF-8"'


class BadRequest(DomainError):
    """The request is malformed."""

    code = "BAD_REQUEST"
    kind = ErrorKind.INVALID
    default_message = "The request is malformed."


class NotFound(DomainError):
    """What the path names does not exist."""

    code = "NOT_FOUND"
    kind = ErrorKind.NOT_FOUND
    default_message = "Not found."


class PreconditionFailed(DomainError):
    """The request is well formed but makes no sense for this caller or object."""

    code = "PRECONDITION"
    kind = ErrorKind.PRECONDITION
    default_message = "This is not possible in the current state."


class BodyTooLarge(DomainError):
    """The request body is larger than the management API reads."""

    code = "REQUEST_ENTITY_TOO_LARGE"
    kind = ErrorKind.TOO_LARGE
    default_message = "The request body is too large."


class UnprocessableEntity(DomainError):
    """A value is of the wrong type or out of its bounds (status 422, as Harbor answers)."""

    code = "UNPROCESSABLE_ENTITY"
    kind = ErrorKind.INVALID
    default_message = "The request does not fit its schema."


class BodyEncoded(exceptions.APIException):
    """The body is compressed, or encoded in another way."""

    status_code = 415
    default_detail = (
        "Content-Encoding must be identity: bodies are not taken compressed or encoded."
    )


@contextmanager
def about_member(name: str) -> Iterator[None]:
    """Let refusals inside say which member of the body they are about."""
    try:
        yield
    except DomainError as error:
        error.message = f"{name}: {error.message}"
        raise


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Render any exception that leaves a view; never returns None.

    What nobody anticipated is logged and answered 500 ``UNKNOWN`` without details.
    """
    if isinstance(error, UnprocessableEntity):
        return _response(422, error.message)
    if isinstance(error, DomainError):
        return _domain_response(error)
    if isinstance(error, exceptions.ValidationError):
        return _response(422, "; ".join(_sentences(error.detail)))
    if isinstance(error, exceptions.UnsupportedMediaType):
        return _response(
            415, f"The body must be {_media_type_of(context)}, and Content-Type say so."
        )
    if isinstance(error, exceptions.APIException):
        return _response(error.status_code, str(error.detail), _retry_header(error))
    if isinstance(error, Http404):
        return _response(404, NotFound.default_message)
    if isinstance(error, DjangoPermissionDenied):
        return _response(403, "You do not have permission to do this.")
    if isinstance(error, RequestDataTooBig):
        return _response(413, BodyTooLarge.default_message)
    if isinstance(error, SuspiciousOperation):
        return _response(400, BadRequest.default_message)
    if isinstance(error, DataError):
        # Every value is checked before it gets here; one that slipped through is the client's.
        log.warning("value_refused_by_database", exc_info=error)
        return _response(400, BadRequest.default_message)
    if isinstance(error, (OperationalError, InterfaceError)):
        log.error("database_unavailable", exc_info=error)
        return _response(503, "The database is not available; try again.", {"Retry-After": "2"})
    if is_read_only(error):
        log.warning("database_read_only")
        return _response(503, "The database is read-only; try again later.", {"Retry-After": "5"})
    view = type(context.get("view")).__name__
    log.error("management_request_failed", view=view, exc_info=error)
    return _response(500, "internal server error")


def code_of(error: DomainError) -> str:
    """Return the code under which clients of the management API know a domain error."""
    return _CODES_BY_REFUSAL.get(error.code, RESPONSES[error.kind][1])


def envelope(status: int, message: str, code: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Return the error body for a status, whose code follows from it unless given."""
    code = code or _CODES_BY_STATUS.get(status, "UNKNOWN")
    return {"errors": [{"code": code, "message": message}]}


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer a request that no view gets to see, such as one with an impossible Host."""
    return plain_response(request, 400, BadRequest.default_message)


def no_such_page(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer for a path outside the API that leads nowhere."""
    return plain_response(request, 404, NotFound.default_message)


def server_error(request: HttpRequest) -> JsonResponse:
    """Answer after a failure outside every view; Django has logged it."""
    return plain_response(request, 500, "internal server error")


def plain_response(request: HttpRequest, status: int, message: str) -> JsonResponse:
    """Return the answer of what is outside every view."""
    response = JsonResponse(envelope(status, message), status=status)
    response["X-Request-Id"] = origin_of(request).request_id
    response["Cache-Control"] = "no-store"
    return response


def _domain_response(error: DomainError) -> Response:
    status, headers = RESPONSES[error.kind][0], {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    response = _response(status, error.message, headers, code=code_of(error))
    if error.kind is ErrorKind.NOT_IMPLEMENTED:
        # Nothing failed here, so Django is not to log it as a failure.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _media_type_of(context: Mapping[str, Any]) -> str:
    """Return the type of bodies that the view reads."""
    return str(context["view"].parser_classes[0].media_type)


def _response(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    code: str | None = None,
) -> Response:
    body = envelope(status, message, code)
    response = Response(body, status=status, headers=dict(headers or {}))
    if status == 401:
        response["WWW-Authenticate"] = CHALLENGE
    return response


def _retry_header(error: exceptions.APIException) -> dict[str, str]:
    wait = getattr(error, "wait", None)
    return {} if wait is None else {"Retry-After": str(int(wait))}


def _sentences(detail: Any, path: str = "") -> Iterator[str]:
    """Flatten DRF's nested validation errors into "field.path: message"."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            if isinstance(key, int):
                yield from _sentences(value, f"{path}[{key}]")
                continue
            name = "" if key == "non_field_errors" else str(key)
            yield from _sentences(value, ".".join(filter(None, (path, name))))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from _sentences(value, f"{path}[{index}]" if nested else path)
    else:
        yield f"{path}: {detail}" if path else str(detail)
