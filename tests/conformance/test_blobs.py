"""Blobs: every way to bring one in, to read it, to mount it and to delete it."""

import os

import pytest

from tests.clients.protocol import Answer
from tests.conformance.conftest import Place
from tests.conformance.content import ALGORITHMS, digest_of
from tests.conformance.uploads import METHODS, begin, post_put, push, send, with_digest

pytestmark = [pytest.mark.server, pytest.mark.parametrize("algorithm", ALGORITHMS)]

CONTENT = bytes(range(256)) * 8


def assert_created(place: Place, answer: Answer, content: bytes, digest: str) -> None:
    """Expect a 201 whose location leads to the blob."""
    assert answer.status == 201, answer
    assert answer.headers["docker-content-digest"] == digest
    found = place.registry.request("GET", answer.location)
    assert (found.status, found.body) == (200, content)


def assert_readable_then_deleted(place: Place, content: bytes, digest: str) -> None:
    """Expect HEAD and GET to tell everything about the blob, and a delete to end it at once."""
    for method, body in (("HEAD", b""), ("GET", content)):
        answer = place.request(method, f"blobs/{digest}")
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["docker-content-digest"] == digest
    assert place.request("DELETE", f"blobs/{digest}").status == 202
    assert_absent(place, digest)
    assert place.request("DELETE", f"blobs/{digest}").status == 404


def assert_absent(place: Place, digest: str) -> None:
    assert place.request("HEAD", f"blobs/{digest}").status == 404
    missing = place.request("GET", f"blobs/{digest}")
    assert (missing.status, missing.json["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("method", METHODS)
def test_upload(place: Place, algorithm: str, method: str) -> None:
    content = os.urandom(2_000)
    digest = digest_of(content, algorithm)
    push(place, b"the repository exists")
    assert_absent(place, digest)
    assert_created(place, METHODS[method](place, content, digest), content, digest)
    assert_readable_then_deleted(place, content, digest)


@pytest.mark.parametrize("content", [b"", b"{}"], ids=["empty", "braces"])
@pytest.mark.parametrize("method", ["post-only", "post-put"])
def test_well_known_content(place: Place, algorithm: str, content: bytes, method: str) -> None:
    digest = digest_of(content, algorithm)
    assert_created(place, METHODS[method](place, content, digest), content, digest)
    assert_readable_then_deleted(place, content, digest)


@pytest.mark.parametrize("method", METHODS)
def test_other_bytes_than_the_digest_says(place: Place, algorithm: str, method: str) -> None:
    digest = digest_of(b"something else", algorithm)
    answer = METHODS[method](place, os.urandom(2_000), digest)
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert place.request("HEAD", f"blobs/{digest}").status == 404


def test_malformed_digests(place: Place, algorithm: str) -> None:
    good = digest_of(CONTENT, algorithm)
    for digest in (f"{algorithm}:short", good.upper(), f"md5:{'0' * 32}", good[:-1], "nothing"):
        answer = post_put(place, CONTENT, digest)
        assert (answer.status, answer.json["errors"][0]["code"]) == (400, "DIGEST_INVALID"), digest
        assert place.request("GET", f"blobs/{digest}").status in (400, 404)


@pytest.mark.parametrize("has_source", [True, False], ids=["named", "anonymous"])
def test_mount(place: Place, algorithm: str, has_source: bool) -> None:
    source = place.beside("source")
    content = os.urandom(2_000)
    digest = push(source, content, algorithm)
    query = f"?mount={digest}" + (f"&from={source.name}" if has_source else "")
    answer = place.request("POST", f"blobs/uploads/{query}", body=b"")
    assert_created(place, answer, content, digest)
    assert_readable_then_deleted(place, content, digest)
    assert_readable_then_deleted(source, content, digest)


def test_a_mount_of_nothing_becomes_an_upload(place: Place, algorithm: str) -> None:
    content = os.urandom(2_000)
    digest = digest_of(content, algorithm)
    location = begin(place, f"?mount={digest}&from={place.beside('absent').name}")
    answer = send(place, "PUT", with_digest(location, digest), content, None)
    assert_created(place, answer, content, digest)


def test_a_cancelled_upload_is_gone(place: Place, algorithm: str) -> None:
    location = begin(place, f"?digest-algorithm={algorithm}")
    location = send(place, "PATCH", location, CONTENT, 0).location
    assert place.registry.request("DELETE", location).status == 204
    closing = with_digest(location, digest_of(CONTENT, algorithm))
    for answer in (
        place.registry.request("GET", location),
        place.registry.request("DELETE", location),
        send(place, "PATCH", location, CONTENT, None),
        send(place, "PUT", closing, b"", None),
    ):
        assert (answer.status, answer.json["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("500-1499", 500, 1_500),
        ("500-", 500, 2_048),
        ("-500", 1_548, 2_048),
        ("2000-5000", 2_000, 2_048),
        ("0-0", 0, 1),
        ("-9999", 0, 2_048),
    ],
)
def test_ranges(place: Place, algorithm: str, asked: str, start: int, end: int) -> None:
    digest = push(place, CONTENT, algorithm)
    answer = place.request("GET", f"blobs/{digest}", headers={"Range": f"bytes={asked}"})
    assert (answer.status, answer.body) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["docker-content-digest"] == digest


@pytest.mark.parametrize("asked", ["5000-10000", "2048-"])
def test_ranges_beyond_the_end(place: Place, algorithm: str, asked: str) -> None:
    digest = push(place, CONTENT, algorithm)
    answer = place.request("GET", f"blobs/{digest}", headers={"Range": f"bytes={asked}"})
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */2048"


def test_several_ranges_come_as_parts(place: Place, algorithm: str) -> None:
    digest = push(place, CONTENT, algorithm)
    answer = place.request("GET", f"blobs/{digest}", headers={"Range": "bytes=0-9,100-109"})
    assert answer.status == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert CONTENT[0:10] in answer.body
    assert CONTENT[100:110] in answer.body


def test_an_upload_tells_how_far_it_is(place: Place, algorithm: str) -> None:
    location = begin(place, f"?digest-algorithm={algorithm}")
    # Old clients come back to the location they were given first.
    assert send(place, "PATCH", location, b"", None).headers["range"] == "0-0"
    assert send(place, "PATCH", location, CONTENT, None).headers["range"] == "0-2047"
    for method in ("GET", "HEAD"):
        status = place.registry.request(method, f"{location}?digest=unused")
        assert (status.status, status.headers["range"]) == (204, "0-2047")
    digest = digest_of(CONTENT, algorithm)
    assert send(place, "PUT", with_digest(location, digest), b"", None).status == 201
