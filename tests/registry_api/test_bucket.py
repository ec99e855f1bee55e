"""The registry protocol over a bucket: whole pushes and pulls, and who is sent to it."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from core.blobs.models import Blob
from core.oci.digest import Digest
from core.storage.errors import UploadMissing
from core.storage.s3.writer import S3UploadWriter
from core.storage.selection import default_driver
from tests.core.storage.s3_server import FaultyProxy, S3Server, options_for
from tests.registry_api.asgi import Answer
from tests.registry_api.cast import Client, sha256
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

SMALL = b"a small blob"
LARGE = os.urandom(6 << 20)


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultyProxy]:
    server = S3Server()
    proxy = FaultyProxy(server)
    yield proxy
    proxy.stop()
    server.stop()


@pytest.fixture(scope="module")
def storage(proxy: FaultyProxy) -> Iterator[None]:
    """A bucket of the module's own in place of a directory."""
    options = options_for(proxy.url, proxy.server.new_bucket())
    # Every field by itself, as the settings have it.
    django_settings.STORAGE_S3 = {name: getattr(options, name) for name in asdict(options)}
    default_driver.cache_clear()
    yield
    django_settings.STORAGE_S3 = None
    default_driver.cache_clear()


def follow(answer: Answer, **headers: str) -> tuple[int, bytes]:
    """Fetch what an answer leads to, as a client does: with its Range, without credentials."""
    parts = urlsplit(answer.headers["location"])
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def code_of(answer: Answer) -> str:
    code: str = answer.json()["errors"][0]["code"]
    return code


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_whole_blobs_come_from_the_bucket(developer: Client, place: Place, data: bytes) -> None:
    digest = developer.push_blob(place.name, data)
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}")
    assert answer.status == 307
    assert answer.headers["docker-content-digest"] == digest
    assert follow(answer) == (200, data)


def test_one_range_comes_from_the_bucket(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, LARGE)
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", Range="bytes=5-9")
    assert answer.status == 307
    assert follow(answer, Range="bytes=5-9") == (206, LARGE[5:10])


def test_others_are_answered_here(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, LARGE)
    path = f"/v2/{place.name}/blobs/{digest}"
    head = developer.head(path)
    assert (head.status, head.headers["content-length"]) == (200, str(len(LARGE)))
    parts = developer.get(path, Range="bytes=0-1,7-8")
    assert parts.status == 206
    assert LARGE[7:9] in parts.body
    assert developer.get(path, Range=f"bytes={len(LARGE)}-").status == 416
    assert developer.get(path, If_None_Match=f'"{digest}"').status == 304


def test_without_redirects_the_bytes_pass_through(
    developer: Client, place: Place, settings: Settings
) -> None:
    settings.STORAGE_REDIRECT = False
    digest = developer.push_blob(place.name, LARGE)
    path = f"/v2/{place.name}/blobs/{digest}"
    whole = developer.get(path)
    assert (whole.status, whole.body) == (200, LARGE)
    part = developer.get(path, Range="bytes=1000000-4000000")
    assert (part.status, part.body) == (206, LARGE[1_000_000:4_000_001])


def test_a_chunked_push(developer: Client, place: Place) -> None:
    digest = sha256(LARGE)
    location = developer.start_upload(place.name)
    for start in range(0, len(LARGE), 1_000_000):
        chunk = LARGE[start : start + 1_000_000]
        headers = {"Content-Range": f"{start}-{start + len(chunk) - 1}"}
        answer = developer.request("PATCH", location, headers=headers, body=chunk)
        assert answer.status == 202
        location = answer.headers["location"]
    assert developer.request("PUT", f"{location}?digest={digest}", body=b"").status == 201
    assert follow(developer.get(f"/v2/{place.name}/blobs/{digest}")) == (200, LARGE)
    assert [upload.key for upload in default_driver().list_uploads()] == []


def test_clients_are_told_how_small_chunks_may_be(developer: Client, place: Place) -> None:
    answer = developer.request("POST", f"/v2/{place.name}/blobs/uploads/")
    assert (answer.status, answer.headers["oci-chunk-min-length"]) == (202, str(5 << 20))


def test_a_chunk_that_lost_its_beginning_is_of_an_unknown_upload(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = developer.start_upload(place.name)
    assert developer.request("PATCH", location, body=SMALL).status == 202

    def fail(*_: object, **__: object) -> None:
        raise UploadMissing

    monkeypatch.setattr(S3UploadWriter, "sync", fail)
    answer = developer.request("PATCH", location, body=SMALL)
    assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    monkeypatch.undo()
    monkeypatch.setattr(S3UploadWriter, "write", fail)
    assert developer.request("PATCH", location, body=SMALL).status == 404
    assert developer.request("DELETE", location).status == 204


def test_a_wrong_digest_leaves_nothing(developer: Client, place: Place) -> None:
    before = len(list(default_driver().list_blobs()))
    location = developer.start_upload(place.name)
    answer = developer.request("PUT", f"{location}?digest={sha256(b'another')}", body=b"not it")
    assert (answer.status, code_of(answer)) == (400, "DIGEST_INVALID")
    assert len(list(default_driver().list_blobs())) == before
    assert list(default_driver().list_uploads()) == []


def test_nobody_is_sent_to_a_damaged_blob(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, b"soon gone " + place.name.encode())
    key = Blob.objects.get(digest=Digest.parse(digest).to_bytes()).storage_key
    default_driver().delete(key)
    assert developer.get(f"/v2/{place.name}/blobs/{digest}").status == 500
    # Whoever pushes it again heals it.
    developer.push_blob(place.name, b"soon gone " + place.name.encode())
    assert developer.get(f"/v2/{place.name}/blobs/{digest}").status == 307


def test_a_service_that_fails_is_a_reason_to_try_again(
    developer: Client, place: Place, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    monkeypatch.setattr("core.storage.s3.committing.time.sleep", lambda _seconds: None)
    location = developer.start_upload(place.name)
    assert developer.request("PATCH", location, body=LARGE).status == 202
    proxy.fail("CompleteMultipartUpload", "answer", times=4, argument=(500, "InternalError"))
    answer = developer.request("PUT", f"{location}?digest={sha256(LARGE)}", body=b"")
    assert (answer.status, code_of(answer)) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"
    assert developer.head(f"/v2/{place.name}/blobs/{sha256(LARGE)}").status == 404
    # The bytes are all there: closing it once more is enough.
    assert developer.request("PUT", f"{location}?digest={sha256(LARGE)}", body=b"").status == 201
    assert follow(developer.get(f"/v2/{place.name}/blobs/{sha256(LARGE)}")) == (200, LARGE)
