"""The ASGI application of the registry protocol: ``/v2/`` and ``/service/token``.

Built for one thing, so that a pull costs little beside its look-up: a request is located by its
path, handed to one function, and its answer gets the headers that every answer carries. Whatever
goes wrong becomes the error envelope here and nowhere else.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from django.db import DataError, InterfaceError, InternalError, OperationalError
from psycopg2.errors import LockNotAvailable, QueryCanceled
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.common.errors import DomainError, ErrorKind
from core.database.read_only import is_read_only
from registry_api import blobs, catalog, manifests, referrers, tags, token, uploads, version
from registry_api.auth import work_of
from registry_api.calls import Call
from registry_api.challenges import challenge
from registry_api.errors import RegistryError, error_response, to_response
from registry_api.lookups import CONNECTIONS
from registry_api.routing import MAX_PATH_BYTES, Endpoint, Location, locate, raw_path
from registry_api.streaming import linger
from registry_api.threads import close_threads, in_thread

log = structlog.get_logger(__name__)

Handler = Callable[[Call], Awaitable[Response]]


def in_one_thread(function: Callable[[Call], Response]) -> Handler:
    """Answer with a function that blocks, in one hop to a thread and back."""

    async def handle(call: Call) -> Response:
        return await in_thread(work_of(call), function, call)

    return handle


HANDLERS: Final[Mapping[Endpoint, Mapping[str, Handler]]] = {
    Endpoint.VERSION: {"GET": in_one_thread(version.get_version)},
    Endpoint.CATALOG: {"GET": in_one_thread(catalog.list_repositories)},
    Endpoint.TAGS: {"GET": in_one_thread(tags.list_tags)},
    Endpoint.REFERRERS: {"GET": in_one_thread(referrers.list_referrers)},
    Endpoint.MANIFEST: {
        "GET": manifests.get_manifest,
        "PUT": manifests.put_manifest,
        "DELETE": manifests.delete_manifest,
    },
    Endpoint.BLOB: {
        "GET": blobs.get_blob,
        "DELETE": blobs.delete_blob,
    },
    Endpoint.UPLOADS: {"POST": uploads.start_upload},
    Endpoint.UPLOAD: {
        "GET": in_one_thread(uploads.get_upload),
        "PATCH": uploads.patch_upload,
        "PUT": uploads.put_upload,
        "DELETE": uploads.delete_upload,
    },
    Endpoint.TOKEN: {"GET": token.get_token, "POST": token.post_token},
    Endpoint.KEYS: {"GET": in_one_thread(token.get_keys)},
}

_VERSION_HEADER: Final = (b"docker-distribution-api-version", b"registry/2.0")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request, or the start and end of the process (ASGI)."""
    if scope["type"] == "http":
        await _serve(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _live(receive, send)


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, then take what is left of its body."""
    path = raw_path(scope["path"], scope.get("raw_path"))
    location = locate(path) if len(path) <= MAX_PATH_BYTES else Location(Endpoint.UNKNOWN)
    call = Call(scope, receive, location)
    has_started = False
    try:
        response = _complete(call, await _respond(call, path))
        has_started = True
        await response(scope, receive, send)
    except ClientDisconnect:
        log.info("client_left", request_id=call.request_id)
    except Exception:
        log.exception("registry_request_failed", request_id=call.request_id)
        if has_started:
            raise
        await _complete(call, error_response("UNKNOWN"))(scope, receive, send)
    await linger(call)


def _complete(call: Call, response: Response) -> Response:
    """Add the headers of every answer, and keep bodies out of answers to HEAD."""
    response.raw_headers += (_VERSION_HEADER, (b"x-request-id", call.request_id.encode()))
    if call.method == "HEAD":
        response.body = b""
    return response


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    CONNECTIONS.close()
    close_threads()
    await send({"type": "lifespan.shutdown.complete"})


async def _respond(call: Call, path: bytes) -> Response:
    try:
        return await _handle(call, path)
    except RegistryError as error:
        return to_response(error)
    except DomainError as error:
        if error.kind is ErrorKind.UNAUTHENTICATED:
            return _unauthenticated(call, error)
        response = to_response(error)
        if response.status_code == 405:
            response.headers["Allow"] = _allowed_methods(call.endpoint)
        return response
    except DataError:
        # A net under the checks of each value: what the database cannot store is no fault of ours.
        log.warning("value_refused_by_database", request_id=call.request_id, exc_info=True)
        message = "The request contains a value that cannot be stored."
        return error_response("UNSUPPORTED", message, status=400)
    except (OperationalError, InterfaceError) as error:
        if isinstance(error.__cause__, LockNotAvailable | QueryCanceled):
            # Somebody else held on to a row for too long. Nothing was changed.
            log.warning("database_busy", request_id=call.request_id, exc_info=True)
            return error_response("UNAVAILABLE", headers={"Retry-After": "1"})
        # The database is away or restarting. Nothing was acknowledged, so asking again is safe.
        log.exception("database_unavailable", request_id=call.request_id)
        return error_response("UNAVAILABLE", headers={"Retry-After": "1"})
    except InternalError as error:
        if not is_read_only(error):
            raise
        # A standby before its promotion, or a database that somebody froze: pulls go on.
        log.warning("database_read_only", request_id=call.request_id)
        return error_response("UNAVAILABLE", headers={"Retry-After": "5"})


async def _handle(call: Call, path: bytes) -> Response:
    if len(path) > MAX_PATH_BYTES:
        return error_response("NAME_INVALID", "The path is too long.", status=414)
    handlers = HANDLERS.get(call.endpoint)
    if handlers is None:
        return error_response("UNSUPPORTED", "There is no such endpoint.", status=404)
    handler = handlers.get("GET" if call.method == "HEAD" else call.method)
    if handler is None:
        return error_response("UNSUPPORTED", headers={"Allow": _allowed_methods(call.endpoint)})
    return await handler(call)


def _unauthenticated(call: Call, error: DomainError) -> Response:
    refusal = challenge(call)
    refusal.message = error.message
    return to_response(refusal)


def _allowed_methods(endpoint: Endpoint) -> str:
    methods = set(HANDLERS.get(endpoint, {}))
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
