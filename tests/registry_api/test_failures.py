"""What clients see when something breaks inside, and the table of errors."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, transaction
from starlette.requests import ClientDisconnect

from core.artifacts import queries
from core.artifacts.errors import ManifestBlobUnknown
from core.artifacts.models import Repository
from core.artifacts.services import tags
from core.common.errors import DomainError, ErrorKind
from core.oci.digest import Digest
from core.storage import errors as storage_errors
from registry_api import deliveries, errors, streaming
from registry_api.errors import CODE_OF_KIND, STATUS_OF_KIND, TABLE, RegistryError, to_response
from registry_api.streaming import BUFFER_BYTES, SEND_FILE
from tests.registry_api.asgi import SENDS_FILES, Exchange, Server
from tests.registry_api.cast import Client, sha256
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

SPECIFIED = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 400,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "SIZE_INVALID": 400,
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "TOOMANYREQUESTS": 429,
}


def every_error(base: type[DomainError]) -> Iterator[type[DomainError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from every_error(kind)


def test_codes_of_the_specification() -> None:
    assert {code: TABLE[code].status for code in SPECIFIED} == SPECIFIED


def test_every_kind_has_a_status_and_a_code() -> None:
    assert set(STATUS_OF_KIND) == set(CODE_OF_KIND) == set(ErrorKind)
    assert set(CODE_OF_KIND.values()) <= set(TABLE)
    for kind in every_error(DomainError):
        assert STATUS_OF_KIND[kind.kind] >= 400


def test_missing_content_gives_one_error_each() -> None:
    digests = [Digest.of(b"a"), Digest.of(b"b")]
    body = bytes(to_response(ManifestBlobUnknown(digests)).body).decode()
    assert body.count("MANIFEST_BLOB_UNKNOWN") == 2
    assert all(str(digest) in body for digest in digests)


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (storage_errors.StorageFull(), 507, None),
        (storage_errors.StorageFailed(retry_after_seconds=5), 503, "5"),
        (storage_errors.UploadBusy(), 503, "1"),
        (storage_errors.UploadMissing(), 404, None),
        (RegistryError("DENIED"), 403, None),
    ],
)
def test_status_of_errors(
    error: DomainError | RegistryError, status: int, retry_after: str | None
) -> None:
    response = to_response(error)
    assert response.status_code == status
    assert response.headers.get("retry-after") == retry_after


def test_unexpected_failure(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = developer.token(f"repository:{place.name}:pull")

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(queries, "find_target", fail)
    answer = developer.request("GET", f"/v2/{place.name}/tags/list", token=token)
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert b"secret" not in answer.body
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


def test_value_that_the_database_refuses(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = developer.token(f"repository:{place.name}:pull")

    def fail(*_: Any) -> None:
        raise DataError("invalid input syntax")

    monkeypatch.setattr(queries, "find_target", fail)
    answer = developer.request("GET", f"/v2/{place.name}/tags/list", token=token)
    assert (answer.status, answer.codes) == (400, ["UNSUPPORTED"])


def test_database_away(developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    developer.push_image(place.name, "v1")
    token = developer.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/tags/list"

    def fail(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(queries, "find_target", fail)
        answer = developer.request("GET", path, token=token)
    assert (answer.status, answer.codes) == (503, ["UNAVAILABLE"])
    assert answer.headers["retry-after"] == "1"
    assert developer.request("GET", path, token=token).status == 200


@pytest.mark.parametrize(
    ("setting", "held"), [("lock_timeout", True), ("statement_timeout", False)]
)
def test_database_busy(
    owner: Client, place: Place, monkeypatch: pytest.MonkeyPatch, setting: str, *, held: bool
) -> None:
    owner.push_image(place.name, "v1")
    token = owner.token(f"repository:{place.name}:pull,delete")
    delete = tags.delete_tag

    def delete_in_a_hurry(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET {setting} = '50ms'")
            try:
                delete(*args, **kwargs)
                cursor.execute("SELECT pg_sleep(1)")
            finally:
                cursor.execute(f"RESET {setting}")

    monkeypatch.setattr(tags, "delete_tag", delete_in_a_hurry)
    path = f"/v2/{place.name}/manifests/v1"
    with transaction.atomic():
        if held:
            Repository.objects.select_for_update().get(name=place.name)
        answer = owner.request("DELETE", path, token=token)
    assert (answer.status, answer.codes) == (503, ["UNAVAILABLE"])
    assert answer.headers["retry-after"] == "1"
    assert owner.request("GET", path, token=token).status == (200 if held else 404)


def test_failure_in_the_middle_of_a_body_is_not_hidden(
    server: Server, developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"x" * (2 << 20)
    digest = developer.push_blob(place.name, data)
    token = developer.token(f"repository:{place.name}:pull")
    exchange = Exchange([])
    reader = streaming.BlobResponse._read

    def end_early(self: Any, offset: int, length: int) -> Any:
        return reader(self, len(data) if offset else 0, length)

    monkeypatch.setattr(streaming.BlobResponse, "_read", end_early)
    with pytest.raises(EOFError):
        developer.request("GET", f"/v2/{place.name}/blobs/{digest}", token=token, exchange=exchange)
    assert 0 < len(exchange.body) < len(data)


@pytest.mark.parametrize(
    ("failure", "is_reported"), [(BrokenPipeError, False), (TimeoutError, False), (EOFError, True)]
)
def test_a_server_that_cannot_send_the_whole_file(
    developer: Client, place: Place, failure: type[Exception], *, is_reported: bool
) -> None:
    digest = developer.push_blob(place.name, b"y" * (2 << 20))
    token = developer.token(f"repository:{place.name}:pull")
    exchange = Exchange([], fails_to_send_file=failure)
    with pytest.raises(failure) if is_reported else nullcontext():
        developer.request(
            "GET",
            f"/v2/{place.name}/blobs/{digest}",
            token=token,
            exchange=exchange,
            scope=SENDS_FILES,
        )
    assert [message["type"] for message in exchange.sent] == ["http.response.start", SEND_FILE]


def test_a_refused_body_is_taken_within_bounds(
    server: Server, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LINGER_BYTES", 4 << 20)
    path = f"/v2/{place.name}/manifests/v1"
    small = server.request("PUT", path, body=b"x" * (1 << 20))
    assert (small.status, small.received) == (401, 1 << 20)
    endless = server.request("PUT", path, body=[b"x" * (1 << 20)] * 10)
    assert (endless.status, endless.received) == (401, 4 << 20)


def test_a_silent_client_is_not_waited_for(
    server: Server, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LINGER_SECONDS", 0.1)
    exchange = Exchange([], leaves_early=False)

    async def never() -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(exchange, "receive", never)
    answer = server.request(
        "PUT", f"/v2/{place.name}/manifests/v1", body=b"data", exchange=exchange
    )
    assert answer.status == 401


@pytest.mark.parametrize(
    ("first", "kept"), [(b"x" * BUFFER_BYTES, b"x" * BUFFER_BYTES), (b"short", b"")]
)
def test_cancelled_upload_still_ends_in_order(
    server: Server,
    developer: Client,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    first: bytes,
    kept: bytes,
) -> None:
    """A server cancels requests whose client left; the upload must not stay locked.

    What was being written is kept and stands before what comes next. A body too short for that
    leaves nothing, since it might come to the upload behind the client's next request.
    """
    # The thread of the request that was cancelled may have to wait for a processor.
    monkeypatch.setattr(deliveries, "CLAIM_WAIT_SECONDS", 30.0)
    location = developer.start_upload(place.name)
    token = developer.token(f"repository:{place.name}:pull,push")
    exchange = Exchange([])
    original = exchange.receive

    async def leave_after_the_first_piece() -> Any:
        if exchange.position == 0:
            return await original()
        requests = [task for task in asyncio.all_tasks() if "_serve" in repr(task.get_coro())]
        for task in requests:
            task.cancel()
        raise ClientDisconnect

    monkeypatch.setattr(exchange, "receive", leave_after_the_first_piece)
    with pytest.raises(CancelledError):
        developer.request("PATCH", location, body=[first, b"lost"], exchange=exchange, token=token)
    answer = developer.request("PATCH", location, body=b" and more", token=token)
    assert answer.status == 202
    closing = f"{location}?digest={sha256(kept + b' and more')}"
    assert developer.request("PUT", closing, body=b"", token=token).status == 201


def test_messages_end_with_a_full_stop() -> None:
    assert all(entry.message.endswith(".") for entry in errors.TABLE.values())
