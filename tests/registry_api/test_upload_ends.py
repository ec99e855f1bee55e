"""Edge cases 29 to 45 and 108: how uploads end, and who may continue them."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db.models import F

from core.artifacts.models import RepositoryBlob
from core.blobs import claims, keeping
from core.blobs.errors import UploadUnknown
from core.blobs.models import Blob, Upload
from core.blobs.types import UploadClaim
from core.common import failpoints
from core.common.clock import now
from core.storage.filesystem_upload import FilesystemUploadWriter
from core.storage.selection import default_driver
from core.storage.types import UploadState
from registry_api import streaming
from tests.registry_api.asgi import Answer, Exchange, Server
from tests.registry_api.cast import EMPTY_SHA256, Client, sha256, sha512
from tests.registry_api.conftest import Place
from tests.registry_api.sending import MIB, patch, progress, put, stored_objects, upload_of

pytestmark = pytest.mark.django_db


def test_edge_29_ways_to_close(developer: Client, place: Place) -> None:
    with_range = developer.start_upload(place.name)
    patch(developer, with_range, b"first", "0-4")
    closing = developer.request(
        "PUT",
        f"{with_range}?digest={sha256(b'firstlast')}",
        headers={"Content-Range": "5-8"},
        body=b"last",
    )
    assert closing.status == 201
    assert closing.headers["location"] == f"/v2/{place.name}/blobs/{sha256(b'firstlast')}"
    assert closing.headers["docker-content-digest"] == sha256(b"firstlast")
    whole = developer.start_upload(place.name)
    assert put(developer, whole, sha256(b"whole"), b"whole").status == 201
    chunked = developer.start_upload(place.name)
    assert put(developer, chunked, sha256(b"chunked"), [b"chun", b"ked"]).status == 201
    empty = developer.start_upload(place.name)
    patch(developer, empty, b"patched")
    assert put(developer, empty, sha256(b"patched")).status == 201


def test_edge_30_closing_chunk_out_of_order(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"first", "0-4")
    answer = developer.request(
        "PUT",
        f"{location}?digest={sha256(b'firstlast')}",
        headers={"Content-Range": "6-9"},
        body=b"last",
    )
    assert answer.status == 416
    assert answer.headers["range"] == "0-4"
    assert put(developer, location, sha256(b"firstlast"), b"last").status == 201


@pytest.mark.parametrize(
    "query", ["", "?digest=", "?digest=sha256:short", f"?digest=sha256:{'A' * 64}", "?digest=x"]
)
def test_edge_31_missing_or_malformed_digest(developer: Client, place: Place, query: str) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"data")
    answer = developer.request("PUT", f"{location}{query}", body=b"")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    assert put(developer, location, sha256(b"data")).status == 201


@pytest.mark.parametrize("hint", ["", "?digest-algorithm=sha512"])
def test_edge_32_sha512_blob(developer: Client, place: Place, hint: str) -> None:
    data = f"sha512 {hint}".encode()
    location = developer.start_upload(place.name, hint)
    patch(developer, location, data)
    answer = put(developer, location, sha512(data))
    assert answer.status == 201
    assert answer.headers["docker-content-digest"] == sha512(data)
    pulled = developer.get(f"/v2/{place.name}/blobs/{sha512(data)}")
    assert pulled.body == data
    assert pulled.headers["docker-content-digest"] == sha512(data)


def test_edge_33_mismatching_digest(developer: Client, place: Place) -> None:
    before = stored_objects()
    location = developer.start_upload(place.name)
    patch(developer, location, b"real data")
    wrong = sha256(b"claimed data")
    answer = put(developer, location, wrong)
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    for digest in (wrong, sha256(b"real data")):
        assert developer.head(f"/v2/{place.name}/blobs/{digest}").status == 404
    gone = developer.get(location)
    assert gone.status == 404
    assert gone.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert stored_objects() == before


def test_edge_34_repeated_closing_request(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"once")
    first = put(developer, location, sha256(b"once"))
    again = put(developer, location, sha256(b"once"))
    with_body = put(developer, location, sha256(b"once"), b"once")
    assert [first.status, again.status, with_body.status] == [201, 201, 201]
    assert again.headers["location"] == first.headers["location"]
    other = put(developer, location, sha256(b"other"))
    assert other.status == 404
    assert other.codes == ["BLOB_UPLOAD_UNKNOWN"]


def test_edge_34_a_closing_request_is_not_repeated_for_what_is_gone(
    developer: Client, owner: Client, place: Place, storage: Path
) -> None:
    data = b"here today" + place.name.encode()
    location = developer.start_upload(place.name)
    assert put(developer, location, sha256(data), data).status == 201
    (file,) = [found for found in storage.glob("blobs/*/*") if found.read_bytes() == data]
    kept = file.rename(storage / "kept")
    assert put(developer, location, sha256(data)).status == 404
    kept.rename(file)
    assert put(developer, location, sha256(data)).status == 201
    assert owner.delete(f"/v2/{place.name}/blobs/{sha256(data)}").status == 202
    gone = put(developer, location, sha256(data))
    assert (gone.status, gone.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_an_impossible_length_does_not_occupy_the_upload(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    headers = {"Content-Length": "1" + "0" * 18, "Content-Type": "application/octet-stream"}
    refused = developer.request("PATCH", location, headers=headers, body=[b"x" * MIB] * 2)
    assert (refused.status, refused.codes) == (400, ["SIZE_INVALID"])
    assert upload_of(location).lock_token is None
    assert patch(developer, location, b"next").status == 202


def test_edge_34_parallel_closing_requests(developer: Client, place: Place) -> None:
    data = b"parallel" * MIB
    location = developer.start_upload(place.name)
    patch(developer, location, data)
    token = developer.token(f"repository:{place.name}:pull,push")
    path = f"{location}?digest={sha256(data)}"
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: developer.request("PUT", path, body=b"", token=token), range(4))
        )
    assert [answer.status for answer in answers] == [201] * 4
    assert Blob.objects.filter(size_bytes=len(data)).count() == 1


def test_edge_35_empty_blob(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    assert put(developer, location, EMPTY_SHA256).status == 201
    path = f"/v2/{place.name}/blobs/{EMPTY_SHA256}"
    assert developer.get(path).body == b""
    assert developer.head(path).headers["content-length"] == "0"
    assert developer.get(path, Range="bytes=0-").status in (200, 416)
    posted = developer.post(f"/v2/{place.other}/blobs/uploads/?digest={EMPTY_SHA256}", b"")
    assert posted.status == 201


@pytest.mark.parametrize("query", ["", f"?digest={sha256(b'x')}"])
def test_edge_37_progress(developer: Client, place: Place, query: str) -> None:
    location = developer.start_upload(place.name)
    for method in ("GET", "HEAD"):
        answer = developer.request(method, location + query)
        assert answer.status == 204
        assert answer.headers["range"] == "0-0"
        assert answer.headers["location"] == location
    patch(developer, location, b"0123456789")
    assert progress(developer, location) == "0-9"


def test_edge_38_cancel(developer: Client, place: Place, storage: Path) -> None:
    def files() -> set[Path]:
        found = {path for path in storage.rglob("*") if path.is_file()}
        # The storage's own mark comes with its first write.
        return found - {storage / "layout"}

    before = files()
    location = developer.start_upload(place.name)
    patch(developer, location, b"to be dropped")
    assert files() - before
    assert developer.delete(location).status == 204
    again = developer.delete(location)
    assert again.status == 404
    assert again.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert patch(developer, location, b"late").codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert not files() - before


def test_edge_39_upload_of_another(
    developer: Client, owner: Client, administrator: Client, place: Place
) -> None:
    location = developer.start_upload(place.name)
    upload_id = location.rpartition("/")[2]
    elsewhere = f"/v2/{place.other}/blobs/uploads/{upload_id}"
    missing = f"/v2/{place.name}/blobs/uploads/{uuid4()}"
    answers = [
        developer.get(elsewhere),
        owner.get(location),
        administrator.get(location),
        patch(owner, location, b"data"),
        put(owner, location, sha256(b"")),
        owner.delete(location),
        developer.get(missing),
    ]
    assert {answer.status for answer in answers} == {404}
    assert {answer.body for answer in answers} == {answers[0].body}
    assert progress(developer, location) == "0-0"


def test_edge_40_upload_continues_without_the_running_hash(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"first ", "0-5")
    Upload.objects.filter(pk=upload_of(location).pk).update(hash_state=None)
    patch(developer, location, b"second", "6-11")
    assert put(developer, location, sha256(b"first second")).status == 201


def test_edge_41_expired_upload(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    Upload.objects.filter(pk=upload_of(location).pk).update(expires_at=now() - timedelta(seconds=1))
    assert developer.get(location).codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert patch(developer, location, b"late").status == 404
    assert put(developer, location, EMPTY_SHA256).status == 404


def test_edge_42_two_patches_at_one_offset(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    token = developer.token(f"repository:{place.name}:pull,push")
    barrier = threading.Barrier(2)

    def send(letter: bytes) -> Answer:
        barrier.wait()
        return developer.request(
            "PATCH",
            location,
            headers={"Content-Range": f"0-{2 * MIB - 1}"},
            body=letter * (2 * MIB),
            token=token,
        )

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip((b"a", b"b"), pool.map(send, (b"a", b"b")), strict=True))
    statuses = sorted(answer.status for answer in answers.values())
    assert statuses[0] == 202
    assert statuses[1] in (416, 503)
    (winner,) = [letter for letter, answer in answers.items() if answer.status == 202]
    assert put(developer, location, sha256(winner * (2 * MIB))).status == 201


def test_edge_42_a_stream_is_waited_for_only_so_long(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    token = developer.token(f"repository:{place.name}:pull,push")
    is_writing, may_end = threading.Event(), threading.Event()

    def hold(position: int) -> None:
        if position == 1:
            is_writing.set()
            may_end.wait(timeout=30)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            developer.request,
            "PATCH",
            location,
            body=[b"a" * MIB, b"b"],
            exchange=Exchange([], pauses=hold),
            token=token,
        )
        assert is_writing.wait(timeout=30)
        second = developer.request("PATCH", location, body=b"intruder", token=token)
        may_end.set()
        assert first.result().status == 202
    assert second.status == 503
    assert second.codes == ["UNAVAILABLE"]
    assert second.headers["retry-after"] == "1"
    assert put(developer, location, sha256(b"a" * MIB + b"b")).status == 201


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_edge_43_denied_before_the_body_is_read(
    server: Server, developer: Client, guest: Client, place: Place, method: str
) -> None:
    location = developer.start_upload(place.name)
    path = f"{location}?digest={sha256(b'x' * MIB)}"
    headers = {"Expect": "100-continue"}
    nobody = server.request(method, path, headers=headers, body=b"x" * MIB)
    assert (nobody.status, nobody.received) == (401, 0)
    token = guest.token(f"repository:{place.name}:pull,push")
    denied = guest.request(method, path, headers=headers, body=b"x" * MIB, token=token)
    assert (denied.status, denied.received) == (403, 0)


@pytest.mark.parametrize(
    "upload_id",
    [
        "..",
        "x",
        "0" * 3000,
        "{0b8f5fd2-7f5c-4d4e-9f6b-2f8f7a1d3c55}",
        "0b8f5fd27f5c4d4e9f6b2f8f7a1d3c55",
        "0B8F5FD2-7F5C-4D4E-9F6B-2F8F7A1D3C55",
    ],
)
def test_edge_44_garbage_upload_id(developer: Client, place: Place, upload_id: str) -> None:
    location = f"/v2/{place.name}/blobs/uploads/{upload_id}"
    assert developer.get(location).codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert patch(developer, location, b"x").status == 404
    assert put(developer, location, sha256(b"x"), b"x").status == 404
    assert developer.delete(location).status == 404


def test_edge_44_huge_upload_id(server: Server, place: Place) -> None:
    answer = server.request("GET", f"/v2/{place.name}/blobs/uploads/{'x' * MIB}")
    assert answer.status == 414


@pytest.mark.parametrize("in_many", [False, True])
def test_edge_45_same_blob_many_times(developer: Client, place: Place, *, in_many: bool) -> None:
    data = f"shared by all {in_many}".encode() * 5000
    before = stored_objects()
    names = [f"{place.name}{number if in_many else ''}" for number in range(50)]
    token = developer.token(*(f"repository:{name}:pull,push" for name in sorted(set(names))))

    def push(name: str) -> Answer:
        path = f"/v2/{name}/blobs/uploads/?digest={sha256(data)}"
        return developer.request("POST", path, body=data, token=token)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(push, names))
    assert [answer.status for answer in answers] == [201] * len(names)
    assert stored_objects() == before + 1
    links = RepositoryBlob.objects.filter(blob__size_bytes=len(data))
    assert links.count() == len(set(names))


def test_edge_108_no_space_left(developer: Client, place: Place) -> None:
    developer.push_image(place.name, "v1")
    location = developer.start_upload(place.name)
    patch(developer, location, b"before", "0-5")
    failpoints.arm("storage.write=enospc")
    try:
        full = patch(developer, location, b"during", "6-11")
        streamed = patch(developer, location, [b"during"])
        assert developer.get(f"/v2/{place.name}/manifests/v1").status == 200
    finally:
        failpoints.disarm()
    assert full.status == streamed.status == 507
    assert full.codes == ["UNAVAILABLE"]
    assert progress(developer, location) == "0-5"
    assert patch(developer, location, b" after", "6-11").status == 202
    assert put(developer, location, sha256(b"before after")).status == 201


def test_edge_108_little_space_left(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    developer.push_image(place.name, "v1")
    location = developer.start_upload(place.name)
    with monkeypatch.context() as patched:
        patched.setattr(type(default_driver()), "free_bytes", lambda self: -1)
        refused = [
            developer.post(f"/v2/{place.name}/blobs/uploads/", b""),
            patch(developer, location, b"data"),
            put(developer, location, EMPTY_SHA256),
        ]
        assert [answer.status for answer in refused] == [507] * 3
        assert developer.get(f"/v2/{place.name}/manifests/v1").status == 200
        assert developer.get(location).status == 204
    assert put(developer, location, EMPTY_SHA256).status == 201


@pytest.mark.parametrize("content_range", [None, f"5-{4 * MIB + 4}"])
def test_edge_108_space_runs_low_during_an_upload(
    developer: Client,
    place: Place,
    storage: Path,
    monkeypatch: pytest.MonkeyPatch,
    content_range: str | None,
) -> None:
    monkeypatch.setattr(streaming, "LOOK_AGAIN_BYTES", 2 * MIB)
    location = developer.start_upload(place.name)
    patch(developer, location, b"first", "0-4")
    left = iter([1])
    with monkeypatch.context() as patched:
        patched.setattr(type(default_driver()), "free_bytes", lambda self: next(left, -1))
        full = patch(developer, location, [b"x" * MIB] * 4, content_range)
    assert (full.status, full.codes) == (507, ["UNAVAILABLE"])
    kept = 5 if content_range else MIB + 5
    assert full.headers["range"] == progress(developer, location) == f"0-{kept - 1}"
    (written,) = storage.rglob(f"*{upload_of(location).storage_key.rpartition('/')[2]}*")
    assert written.stat().st_size == kept
    rest = b"x" * (5 + MIB - kept)
    assert put(developer, location, sha256(b"first" + b"x" * MIB), rest).status == 201


def test_edge_108_space_runs_low_during_a_whole_upload(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LOOK_AGAIN_BYTES", 2 * MIB)
    left = iter([1, 1])
    monkeypatch.setattr(type(default_driver()), "free_bytes", lambda self: next(left, -1))
    data = b"x" * (4 * MIB)
    path = f"/v2/{place.name}/blobs/uploads/?digest={sha256(data)}"
    token = developer.token(f"repository:{place.name}:pull,push")
    pieces = [data[position : position + MIB] for position in range(0, len(data), MIB)]
    answer = developer.request("POST", path, body=pieces, token=token)
    assert (answer.status, answer.codes) == (507, ["UNAVAILABLE"])
    assert not Upload.objects.filter(repository_name=place.name).exists()


def test_a_large_upload_passes_in_pieces(developer: Client, place: Place) -> None:
    pieces = [bytes([number % 251]) * 65_536 for number in range(200)]
    running = hashlib.sha256()
    for piece in pieces:
        running.update(piece)
    location = developer.start_upload(place.name)
    assert patch(developer, location, pieces).status == 202
    digest = f"sha256:{running.hexdigest()}"
    assert put(developer, location, digest).status == 201
    pulled = developer.get(f"/v2/{place.name}/blobs/{digest}")
    assert hashlib.sha256(pulled.body).hexdigest() == running.hexdigest()


def test_a_claim_is_kept_while_its_writer_waits_for_the_disk(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "RENEW_AFTER_SECONDS", 0.05)
    renewed = threading.Event()
    renew = claims.renew

    def noted(claim: UploadClaim) -> None:
        renew(claim)
        renewed.set()

    sync = FilesystemUploadWriter.sync

    def wait_for_it(self: FilesystemUploadWriter, *, last: bool = False) -> UploadState:
        # The claim has lapsed; only a renewal keeps others from taking the upload over.
        Upload.objects.update(locked_until=now() - timedelta(seconds=1))
        assert renewed.wait(30)
        return sync(self, last=last)

    monkeypatch.setattr(claims, "renew", noted)
    monkeypatch.setattr(FilesystemUploadWriter, "sync", wait_for_it)
    location = developer.start_upload(place.name)
    assert developer.request("PATCH", location, body=b"content").status == 202
    assert put(developer, location, sha256(b"content")).status == 201


def test_a_claim_that_is_lost_meanwhile_is_not_taken_back(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "RENEW_AFTER_SECONDS", 0.05)
    refused = threading.Event()
    renew = claims.renew

    def noted(claim: UploadClaim) -> None:
        try:
            renew(claim)
        except UploadUnknown:
            refused.set()
            raise

    sync = FilesystemUploadWriter.sync

    def wait_for_it(self: FilesystemUploadWriter, *, last: bool = False) -> UploadState:
        Upload.objects.update(expires_at=now(), epoch=F("epoch") + 1)
        assert refused.wait(30)
        return sync(self, last=last)

    monkeypatch.setattr(claims, "renew", noted)
    monkeypatch.setattr(FilesystemUploadWriter, "sync", wait_for_it)
    location = developer.start_upload(place.name)
    answer = developer.request("PATCH", location, body=b"content")
    assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
