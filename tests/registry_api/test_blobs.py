"""Edge cases 48 to 64: mounts and blobs."""

import asyncio
import email
import hashlib
import os
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from weakref import finalize

import pytest

from core.artifacts.models import RepositoryBlob
from core.blobs.models import Blob
from core.common.clock import now
from core.members.services import remove_member
from core.oci.digest import Digest
from core.projects.services import delete_project, update_project
from core.rbac.types import Actor
from core.storage.filesystem import FilesystemBlobReader, FilesystemDriver
from core.storage.selection import default_driver
from core.users.models import User
from registry_api.streaming import SEND_FILE
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.registry_api.asgi import SENDS_FILES, Answer, Exchange, Server
from tests.registry_api.cast import Client, image_manifest, sha256, sha512
from tests.registry_api.conftest import Place, new_place

pytestmark = pytest.mark.django_db

DATA = bytes(range(256)) * 10
LARGE = os.urandom(3 << 20)


def mount(client: Client, name: str, digest: str, source: str | None) -> Answer:
    query = f"?mount={digest}" + ("" if source is None else f"&from={source}")
    return client.post(f"/v2/{name}/blobs/uploads/{query}", b"")


def without_identity(answer: Answer) -> dict[str, str]:
    """Return the headers of a session without what tells one session from another."""
    upload_id = answer.headers["docker-upload-uuid"]
    kept = {k: v.replace(upload_id, "ID") for k, v in answer.headers.items()}
    kept.pop("x-request-id")
    return kept


def test_edge_48_mount(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    objects = len(list(default_driver().list_blobs()))
    answer = mount(developer, place.other, digest, place.name)
    assert answer.status == 201
    assert answer.headers["location"] == f"/v2/{place.other}/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert developer.head(f"/v2/{place.other}/blobs/{digest}").status == 200
    assert len(list(default_driver().list_blobs())) == objects


def test_edge_49_mount_that_cannot_be(
    developer: Client, administrator: Client, place: Place, foreign_place: Place
) -> None:
    hidden = administrator.push_blob(foreign_place.name, b"hidden" + place.name.encode())
    known = developer.push_blob(place.name, b"known")
    answers = [
        mount(developer, place.other, sha256(b"unknown"), place.name),
        mount(developer, place.other, known, "no/such"),
        mount(developer, place.other, hidden, foreign_place.name),
        mount(developer, place.other, known, "Not A Name".replace(" ", "%20")),
    ]
    assert {answer.status for answer in answers} == {202}
    assert all(without_identity(a) == without_identity(answers[0]) for a in answers)


def test_a_mount_of_what_the_storage_has_lost_becomes_an_upload(
    developer: Client, place: Place, storage: Path
) -> None:
    data = b"lost" + place.name.encode()
    digest = developer.push_blob(place.name, data)
    (file,) = [found for found in storage.glob("blobs/*/*") if found.read_bytes() == data]
    file.write_bytes(data[:-1])
    assert mount(developer, place.other, digest, place.name).status == 202
    assert developer.head(f"/v2/{place.other}/blobs/{digest}").status == 404
    developer.push_blob(place.other, data)
    assert mount(developer, place.other, digest, place.name).status == 201
    assert developer.get(f"/v2/{place.name}/blobs/{digest}").body == data


def test_edge_50_mount_without_source(
    developer: Client,
    administrator: Client,
    place: Place,
    public_place: Place,
    foreign_place: Place,
) -> None:
    hidden = administrator.push_blob(foreign_place.name, b"only hidden" + place.name.encode())
    assert mount(developer, place.name, hidden, None).status == 202
    public = administrator.push_blob(public_place.name, b"public" + place.name.encode())
    assert mount(developer, place.name, public, None).status == 201
    assert developer.get(f"/v2/{place.name}/blobs/{public}").status == 200
    again = mount(developer, place.name, public, None)
    assert again.status == 201


def test_edge_50_mount_without_source_considers_all_rights(
    developer: Client, outsider: Client, place: Place, people: dict[str, User]
) -> None:
    source = new_place(people, is_public=False)
    digest = developer.push_blob(source.name, b"mine elsewhere" + place.name.encode())
    path = f"/v2/{place.name}/blobs/uploads/?mount={digest}"
    token = developer.token(f"repository:{place.name}:pull,push")
    assert developer.request("POST", path, body=b"", token=token).status == 201
    named = f"{path.replace('/app/', '/named/')}&from={source.name}"
    narrow = developer.token(f"repository:{place.project.name}/named:pull,push")
    assert developer.request("POST", named, body=b"", token=narrow).status == 202


@pytest.mark.parametrize("change", ["given away", "made private", "revoked"])
def test_mount_from_a_source_that_the_token_no_longer_speaks_for(
    server: Server,
    outsider: Client,
    administrator: Client,
    people: dict[str, User],
    place: Place,
    change: str,
) -> None:
    source = new_place(people, is_public=change == "made private")
    user = people["outsider"]
    make_member(place.project, user, "developer")
    former = None if change == "made private" else make_member(source.project, user, "developer")
    token = outsider.token(f"repository:{source.name}:pull", f"repository:{place.name}:pull,push")
    if change == "given away":
        delete_project(source.project, actor=Actor.system())
        make_project(source.project.name)
    elif change == "made private":
        update_project(source.project, is_public=False, actor=Actor.system())
    else:
        assert former is not None
        remove_member(former, actor=Actor.system())
    digest = administrator.push_blob(source.name, b"of others" + source.name.encode())
    path = f"/v2/{place.name}/blobs/uploads/?mount={digest}&from={source.name}"
    answer = outsider.request("POST", path, body=b"", token=token)
    # A revocation ends the whole token, not only what it says about the source.
    assert answer.status == (401 if change == "revoked" else 202)


def test_edge_51_malformed_mounts(developer: Client, place: Place) -> None:
    malformed = mount(developer, place.name, "sha256:x", place.other)
    assert malformed.status == 400
    assert malformed.codes == ["DIGEST_INVALID"]
    plain = developer.post(f"/v2/{place.name}/blobs/uploads/?from={place.other}", b"")
    assert plain.status == 202
    digest = developer.push_blob(place.name, DATA)
    assert mount(developer, place.name, digest, place.name).status == 201


def test_edge_54_headers(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    path = f"/v2/{place.name}/blobs/{digest}"
    head, got = developer.head(path), developer.get(path)
    assert head.status == got.status == 200
    assert head.body == b""
    assert got.body == DATA
    expected = {
        "content-length": str(len(DATA)),
        "docker-content-digest": digest,
        "accept-ranges": "bytes",
        "content-type": "application/octet-stream",
        "etag": f'"{digest}"',
        "cache-control": "private, max-age=31536000, immutable",
    }
    assert expected.items() <= head.headers.items()
    assert expected.items() <= got.headers.items()


def test_edge_55_blob_of_another_repository(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    developer.push_blob(place.other, b"other")
    answer = developer.get(f"/v2/{place.other}/blobs/{digest}")
    assert answer.status == 404
    assert answer.codes == ["BLOB_UNKNOWN"]
    missing = developer.get(f"/v2/{place.project.name}/missing/blobs/{digest}")
    assert missing.status == 404
    assert missing.codes == ["NAME_UNKNOWN"]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 2559),
        ("bytes=100-199", 100, 199),
        ("bytes=-10", 2550, 2559),
        ("bytes=-99999", 0, 2559),
        ("bytes=2500-99999", 2500, 2559),
        ("bytes=2559-", 2559, 2559),
    ],
)
def test_edge_56_single_range(
    developer: Client, place: Place, header: str, first: int, last: int
) -> None:
    digest = developer.push_blob(place.name, DATA)
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", Range=header)
    assert answer.status == 206
    assert answer.body == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["docker-content-digest"] == digest


@pytest.mark.parametrize("header", ["bytes=2560-", "bytes=99999-100000", "bytes=-0", "bytes=5-1"])
def test_edge_56_unsatisfiable_range(developer: Client, place: Place, header: str) -> None:
    digest = developer.push_blob(place.name, DATA)
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", Range=header)
    assert answer.status == 416
    assert answer.codes == ["RANGE_INVALID"]
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize(("content", "step"), [(DATA, 100), (LARGE, 1 << 20)])
def test_edge_57_several_ranges(developer: Client, place: Place, content: bytes, step: int) -> None:
    digest = developer.push_blob(place.name, content)
    header = f"bytes=0-9,{step}-{2 * step - 1},-5"
    answer = developer.get(f"/v2/{place.name}/blobs/{digest}", Range=header)
    assert answer.status == 206
    assert int(answer.headers["content-length"]) == len(answer.body)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + answer.body).get_payload()
    assert isinstance(parts, list)
    expected = [content[:10], content[step : 2 * step], content[-5:]]
    assert [part["Content-Range"] for part in parts] == [
        f"bytes 0-9/{len(content)}",
        f"bytes {step}-{2 * step - 1}/{len(content)}",
        f"bytes {len(content) - 5}-{len(content) - 1}/{len(content)}",
    ]
    for piece in expected:
        assert b"\r\n\r\n" + piece + b"\r\n--" in answer.body


def test_edge_57_flood_of_overlapping_ranges(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    for header in ("bytes=" + ",".join(["0-"] * 1000), "bytes=" + ",".join(["0-"] * 20)):
        answer = developer.get(f"/v2/{place.name}/blobs/{digest}", Range=header)
        assert answer.status in (200, 206)
        assert len(answer.body) <= len(DATA)


def test_edge_58_conditions(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    path, tag = f"/v2/{place.name}/blobs/{digest}", f'"{digest}"'
    same = developer.get(path, Range="bytes=0-1", If_Range=tag)
    other = developer.get(path, Range="bytes=0-1", If_Range='"other"')
    dated = developer.get(path, Range="bytes=0-1", If_Range="Sat, 01 Jan 2026 00:00:00 GMT")
    assert (same.status, other.status, dated.status) == (206, 200, 200)
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        for method in ("GET", "HEAD"):
            unchanged = developer.request(method, path, headers={"If-None-Match": condition})
            assert (unchanged.status, unchanged.body) == (304, b"")
            assert unchanged.headers["etag"] == tag
    assert developer.get(path, If_None_Match='"other"').status == 200
    assert developer.get(path, Range="lines=1-2").status == 200
    assert developer.get(path, Range="bytes=x-y").status == 200


def test_edge_59_no_content_encoding(developer: Client, place: Place) -> None:
    payload = developer.push_image(place.name, "v1")
    digest = sha256(b"{}")
    for path in (f"blobs/{digest}", "manifests/v1"):
        answer = developer.get(f"/v2/{place.name}/{path}", Accept_Encoding="zstd,gzip,deflate")
        assert "content-encoding" not in answer.headers
    assert developer.get(f"/v2/{place.name}/manifests/v1").body == payload


def test_edge_60_client_leaves_early(server: Server, developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, LARGE)
    token = developer.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/blobs/{digest}"

    def leave(_: int) -> int:
        exchange = Exchange([], leaves_after_bytes=1)
        answer = developer.request("GET", path, token=token, exchange=exchange)
        assert answer.status == 200
        return len(answer.body)

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(leave, range(20)))
        before = descriptors()
        lengths = list(pool.map(leave, range(1000)))
    assert max(lengths) < len(LARGE)
    assert descriptors() <= before + 4
    assert server.run(lambda: len(asyncio.all_tasks())) <= 2


def test_a_client_that_leaves_while_the_file_is_opened_leaks_no_descriptor(
    server: Server, developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = developer.push_blob(place.name, LARGE)
    token = developer.token(f"repository:{place.name}:pull")
    name = Blob.objects.get(digest=Digest.parse(digest).to_bytes()).storage_key.split("/")[-1]
    is_opening, may_open, is_gone = Event(), Event(), Event()
    open_blob = FilesystemDriver.open_blob

    def open_slowly(self: FilesystemDriver, key: str) -> FilesystemBlobReader:
        is_opening.set()
        may_open.wait(20)
        reader = open_blob(self, key)
        assert descriptors() == 1
        finalize(reader, is_gone.set)
        return reader

    def descriptors() -> int:
        return sum(link.resolve().name == name for link in Path("/proc/self/fd").iterdir())

    def cancel() -> None:
        for task in asyncio.all_tasks():
            if "_serve" in repr(task.get_coro()):
                task.cancel()

    monkeypatch.setattr(FilesystemDriver, "open_blob", open_slowly)
    with ThreadPoolExecutor(1) as pool:
        path = f"/v2/{place.name}/blobs/{digest}"
        answer = pool.submit(developer.request, "GET", path, token=token)
        assert is_opening.wait(20)
        server.run(cancel)
        with pytest.raises(CancelledError):
            answer.result()
    may_open.set()
    assert is_gone.wait(20)
    assert descriptors() == 0


def test_large_blob_and_ranges_are_streamed(developer: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, LARGE)
    path = f"/v2/{place.name}/blobs/{digest}"
    assert hashlib.sha256(developer.get(path).body).digest() == hashlib.sha256(LARGE).digest()
    part = developer.get(path, Range="bytes=1000000-2999999")
    assert part.status == 206
    assert part.body == LARGE[1_000_000:3_000_000]


@pytest.mark.parametrize("header", ["", "bytes=1000000-2999999", "bytes=0-9,300000-,-5"])
def test_a_server_that_can_sends_the_file_itself(
    developer: Client, place: Place, header: str
) -> None:
    digest = developer.push_blob(place.name, LARGE)
    path, headers = f"/v2/{place.name}/blobs/{digest}", {"Range": header} if header else {}
    token = developer.token(f"repository:{place.name}:pull")
    exchange = Exchange([])
    sent = developer.request(
        "GET", path, headers=headers, token=token, exchange=exchange, scope=SENDS_FILES
    )
    streamed = developer.request("GET", path, headers=headers, token=token)
    assert SEND_FILE in {message["type"] for message in exchange.sent}
    assert (sent.status, len(sent.body)) == (streamed.status, len(streamed.body))
    assert int(sent.headers["content-length"]) == len(sent.body)
    if "," not in header:
        assert sent.body == streamed.body
    else:
        assert b"\r\n\r\n" + LARGE[300_000:] + b"\r\n--" in sent.body


def test_edge_62_delete(owner: Client, place: Place) -> None:
    digest = owner.push_blob(place.name, b"doomed")
    path = f"/v2/{place.name}/blobs/{digest}"
    assert owner.delete(path).status == 202
    assert owner.head(path).status == 404
    again = owner.delete(path)
    assert (again.status, again.codes) == (404, ["BLOB_UNKNOWN"])
    malformed = owner.delete(f"/v2/{place.name}/blobs/sha256:x")
    assert (malformed.status, malformed.codes) == (400, ["DIGEST_INVALID"])


def test_edge_63_delete_of_a_blob_in_use(owner: Client, place: Place) -> None:
    manifest = owner.push_image(place.name, "v1")
    path = f"/v2/{place.name}/blobs/{sha256(b'{}')}"
    refused = owner.delete(path)
    assert (refused.status, refused.codes) == (405, ["UNSUPPORTED"])
    assert refused.headers["allow"] == "DELETE, GET, HEAD"
    assert owner.delete(f"/v2/{place.name}/manifests/{sha256(manifest)}").status == 202
    assert owner.delete(path).status == 202


def test_edge_64_delete_in_one_repository(owner: Client, place: Place) -> None:
    digest = owner.push_blob(place.name, DATA)
    owner.push_blob(place.other, DATA)
    assert owner.delete(f"/v2/{place.name}/blobs/{digest}").status == 202
    assert owner.get(f"/v2/{place.other}/blobs/{digest}").body == DATA


@pytest.mark.parametrize("with_password", [False, True])
def test_head_by_a_pusher_renews_the_lease(
    developer: Client, guest: Client, place: Place, *, with_password: bool
) -> None:
    digest = developer.push_blob(place.name, b"leased")
    link = RepositoryBlob.objects.get(repository__name=place.name)
    soon = now() + timedelta(hours=1)
    RepositoryBlob.objects.filter(pk=link.pk).update(leased_until=soon)
    path = f"/v2/{place.name}/blobs/{digest}"
    assert head(guest, path, place, with_password=with_password).status == 200
    link.refresh_from_db()
    assert link.leased_until == soon
    assert head(developer, path, place, with_password=with_password).status == 200
    link.refresh_from_db()
    assert link.leased_until > now() + timedelta(hours=23)
    RepositoryBlob.objects.filter(pk=link.pk).update(leased_until=soon)
    token = developer.token(f"repository:{place.name}:pull,push")
    known = {"If-None-Match": f'"{digest}"'}
    assert developer.request("HEAD", path, headers=known, token=token).status == 304
    link.refresh_from_db()
    assert link.leased_until > now() + timedelta(hours=23)


@pytest.mark.parametrize("damage", ["missing", "short", "long", "flipped"])
def test_edge_110_damaged_object_is_never_served_and_healed(
    developer: Client, place: Place, storage: Path, damage: str
) -> None:
    data = f"{damage} {place.name}".encode() * 100
    digest = developer.push_blob(place.name, data)
    manifest = image_manifest(data, [])
    assert developer.put_manifest(place.name, "v1", manifest).status == 201
    file = storage / Blob.objects.get(digest=stored(digest)).storage_key
    if damage == "missing":
        file.unlink()
    elif damage == "flipped":
        file.write_bytes(b"X" + data[1:])
        # The size is right; somebody has compared the bytes with the digest.
        Blob.objects.filter(digest=stored(digest)).update(damaged_at=now())
    else:
        file.write_bytes(data[:-1] if damage == "short" else data + b"x")
    path = f"/v2/{place.name}/blobs/{digest}"
    pulled = developer.get(path)
    assert (pulled.status, pulled.codes) == (500, ["UNKNOWN"])
    pull_only = developer.token(f"repository:{place.name}:pull")
    assert developer.request("HEAD", path, token=pull_only).status == 500
    may_push = developer.token(f"repository:{place.name}:pull,push")
    assert developer.request("HEAD", path, token=may_push).status == 404
    assert head(developer, path, place, with_password=True).status == 404
    if damage == "flipped":
        assert mount(developer, place.other, digest, place.name).status == 202
    developer.push_blob(place.name, data)
    assert developer.get(path).body == data
    assert developer.request("HEAD", path, token=may_push).status == 200


def test_a_blob_in_a_storage_that_is_not_configured_is_no_damage(
    developer: Client, place: Place
) -> None:
    data = f"elsewhere {place.name}".encode() * 100
    digest = developer.push_blob(place.name, data)
    key = Blob.objects.get(digest=stored(digest)).storage_key
    Blob.objects.filter(storage_key=key).update(store="gone", storage_key="blobs/00/" + 32 * "0")
    path = f"/v2/{place.name}/blobs/{digest}"
    assert developer.get(path).status == 503
    pull_only = developer.token(f"repository:{place.name}:pull")
    assert developer.request("HEAD", path, token=pull_only).status == 503
    assert head(developer, path, place, with_password=False).status == 404
    developer.push_blob(place.name, data)
    assert developer.get(path).body == data


def test_both_algorithms_side_by_side(developer: Client, place: Place) -> None:
    data = b"one content, two digests"
    developer.push_blob(place.name, data)
    developer.push_blob(place.name, data, sha512(data))
    for digest in (sha256(data), sha512(data)):
        answer = developer.get(f"/v2/{place.name}/blobs/{digest}")
        assert (answer.body, answer.headers["docker-content-digest"]) == (data, digest)


def head(client: Client, path: str, place: Place, *, with_password: bool) -> Answer:
    """Ask with credentials, or with a token for all that the client may do."""
    if with_password:
        return client.server.request("HEAD", path, headers={"Authorization": client.basic})
    return client.request("HEAD", path, token=client.token(f"repository:{place.name}:pull,push"))


def stored(digest: str) -> bytes:
    return Digest.parse(digest).to_bytes()
