"""Edge cases 14 to 28: beginning uploads and sending bytes."""

import pytest

from core.blobs.models import Upload
from tests.registry_api.asgi import Exchange
from tests.registry_api.cast import Client, sha256
from tests.registry_api.conftest import Place
from tests.registry_api.sending import MIB, patch, progress, put, stored_objects, upload_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("body", [None, b""])
def test_edge_14_post_begins_an_upload(developer: Client, place: Place, body: bytes | None) -> None:
    answer = developer.post(f"/v2/{place.name}/blobs/uploads/", body)
    assert answer.status == 202
    upload_id = answer.headers["docker-upload-uuid"]
    assert answer.headers["location"] == f"/v2/{place.name}/blobs/uploads/{upload_id}"
    assert answer.headers["range"] == "0-0"
    assert answer.headers["content-length"] == "0"


def test_edge_15_monolithic_post(developer: Client, place: Place) -> None:
    data = b"whole" * 1000
    answer = developer.post(f"/v2/{place.name}/blobs/uploads/?digest={sha256(data)}", data)
    assert answer.status == 201
    assert answer.headers["location"] == f"/v2/{place.name}/blobs/{sha256(data)}"
    assert answer.headers["docker-content-digest"] == sha256(data)
    assert developer.get(answer.headers["location"]).body == data


def test_edge_15_monolithic_post_with_a_wrong_digest(developer: Client, place: Place) -> None:
    before = stored_objects()
    wrong = sha256(b"something else")
    answer = developer.post(f"/v2/{place.name}/blobs/uploads/?digest={wrong}", b"data")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    assert not Upload.objects.filter(repository_name=place.name).exists()
    assert stored_objects() == before
    assert developer.head(f"/v2/{place.name}/blobs/{wrong}").status == 404


def test_edge_15_monolithic_post_broken_off(developer: Client, place: Place) -> None:
    path = f"/v2/{place.name}/blobs/uploads/?digest={sha256(b'data')}"
    answer = developer.request("POST", path, body=[b"da"], exchange=Exchange([], leaves_early=True))
    assert answer.status == 0
    assert not Upload.objects.filter(repository_name=place.name).exists()


@pytest.mark.parametrize("body", [None, b"", []])
def test_edge_16_post_with_a_digest_and_no_body(
    developer: Client, place: Place, body: bytes | list[bytes] | None
) -> None:
    digest = sha256(b"later")
    answer = developer.post(f"/v2/{place.name}/blobs/uploads/?digest={digest}", body)
    assert answer.status == 202
    assert put(developer, answer.headers["location"], digest, b"later").status == 201


@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "text/html; a=b"])
def test_edge_17_content_type_does_not_matter(
    developer: Client, place: Place, content_type: str | None
) -> None:
    data = f"typed {content_type}".encode()
    headers = {} if content_type is None else {"Content-Type": content_type}
    path = f"/v2/{place.name}/blobs/uploads/?digest={sha256(data)}"
    assert developer.request("POST", path, headers=headers, body=data).status == 201
    found = developer.head(f"/v2/{place.name}/blobs/{sha256(data)}")
    assert found.headers["content-type"] == "application/octet-stream"


def test_edge_18_digest_algorithm(developer: Client, place: Place) -> None:
    path = f"/v2/{place.name}/blobs/uploads/?digest-algorithm="
    answer = developer.post(f"{path}sha512", b"")
    assert answer.status == 202
    assert upload_of(answer.headers["location"]).algorithm == "sha512"
    for unsupported in ("md5", "sha256x", "SHA256"):
        refused = developer.post(f"{path}{unsupported}", b"")
        assert refused.status == 400
        assert refused.codes == ["DIGEST_INVALID"]


def test_edge_19_chunked_patch_without_content_range(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    answer = patch(developer, location, [b"docker", b"", b" streams"])
    assert answer.status == 202
    assert answer.headers["range"] == "0-13"
    assert answer.headers["location"] == location
    assert answer.headers["docker-upload-uuid"] == location.rpartition("/")[2]
    assert put(developer, location, sha256(b"docker streams")).status == 201


def test_edge_20_patch_with_content_length_is_appended(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    assert patch(developer, location, b"one ").headers["range"] == "0-3"
    assert patch(developer, location, b"two").headers["range"] == "0-6"
    assert put(developer, location, sha256(b"one two")).status == 201


def test_edge_21_empty_patch_first(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    first = patch(developer, location, b"")
    assert first.status == 202
    assert first.headers["range"] == "0-0"
    second = patch(developer, location, b"data", "0-3")
    assert second.status == 202
    assert second.headers["range"] == "0-3"
    assert put(developer, location, sha256(b"data")).status == 201


def test_edge_22_patch_ahead_of_the_offset(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"0123", "0-3")
    answer = patch(developer, location, b"x" * MIB, f"5-{MIB + 4}")
    assert answer.status == 416
    assert answer.codes == ["BLOB_UPLOAD_INVALID"]
    assert answer.headers["location"] == location
    assert answer.headers["range"] == "0-3"
    assert answer.headers["docker-upload-uuid"] == location.rpartition("/")[2]
    assert answer.received == MIB
    assert patch(developer, location, b"4567", "4-7").status == 202
    assert put(developer, location, sha256(b"01234567")).status == 201


def test_edge_23_patch_behind_the_offset(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"0123", "0-3")
    answer = patch(developer, location, b"abcd", "0-3")
    assert answer.status == 416
    assert answer.headers["range"] == "0-3"
    assert put(developer, location, sha256(b"0123")).status == 201


@pytest.mark.parametrize("body", [b"12", b"12345", [b"12"], [b"1234", b"5"]])
def test_edge_24_chunk_of_another_length(
    developer: Client, place: Place, body: bytes | list[bytes]
) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"begin", "0-4")
    answer = patch(developer, location, body, "5-8")
    assert answer.status == 400
    assert answer.codes == ["SIZE_INVALID"]
    assert progress(developer, location) == "0-4"
    assert patch(developer, location, b"1234", "5-8").status == 202
    assert put(developer, location, sha256(b"begin1234")).status == 201


def test_edge_24_refusal_tells_where_to_go_on(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"begin", "0-4")
    answer = patch(developer, location, [b"12"], "5-8")
    assert answer.headers["location"] == location
    assert answer.headers["range"] == "0-4"


@pytest.mark.parametrize(
    "content_range", ["5-1", "a-b", "-1-5", f"0-{'9' * 30}", "0", "", "bytes 0-3/2", "0-3,4-5"]
)
def test_edge_25_malformed_content_range(
    developer: Client, place: Place, content_range: str
) -> None:
    location = developer.start_upload(place.name)
    for method in ("PATCH", "PUT"):
        answer = developer.request(
            method,
            f"{location}?digest={sha256(b'0123')}",
            headers={"Content-Range": content_range},
            body=b"0123",
        )
        assert answer.status in (400, 416), content_range
        assert answer.codes[0] in ("BLOB_UPLOAD_INVALID", "SIZE_INVALID")
    assert progress(developer, location) == "0-0"


@pytest.mark.parametrize("content_range", ["bytes 0-3/10", "bytes 0-3/*"])
def test_edge_25_tolerated_content_range(
    developer: Client, place: Place, content_range: str
) -> None:
    location = developer.start_upload(place.name)
    assert patch(developer, location, b"0123", content_range).status == 202


def test_edge_26_client_leaves_during_a_chunk(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    patch(developer, location, b"begin", "0-4")
    headers = {"Content-Range": f"5-{3 * MIB + 4}"}
    broken = developer.request(
        "PATCH",
        location,
        headers=headers,
        body=[b"x" * MIB, b"x" * MIB],
        exchange=Exchange([], leaves_early=True),
    )
    assert broken.status == 0
    assert progress(developer, location) == "0-4"
    assert patch(developer, location, b"x" * 3 * MIB, headers["Content-Range"]).status == 202
    assert put(developer, location, sha256(b"begin" + b"x" * 3 * MIB)).status == 201


def test_edge_26_client_leaves_during_a_stream(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    data = bytes(range(256)) * (3 * MIB // 256)
    developer.request(
        "PATCH",
        location,
        body=[data[:MIB], data[MIB : 2 * MIB + 10]],
        exchange=Exchange([], leaves_early=True),
    )
    assert progress(developer, location) == f"0-{2 * MIB + 9}"
    assert patch(developer, location, data[2 * MIB + 10 :]).status == 202
    assert put(developer, location, sha256(data)).status == 201


def test_client_leaves_during_a_closing_request(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    path = f"{location}?digest={sha256(b'data')}"
    developer.request("PUT", path, body=[b"da"], exchange=Exchange([], leaves_early=True))
    assert progress(developer, location) == "0-0"
    assert put(developer, location, sha256(b"data"), b"data").status == 201


def test_edge_28_many_small_chunks(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    token = developer.token(f"repository:{place.name}:pull,push")
    data = bytes(number % 251 for number in range(1000))
    for position in range(len(data)):
        answer = developer.request(
            "PATCH",
            location,
            headers={"Content-Range": f"{position}-{position}"},
            body=data[position : position + 1],
            token=token,
        )
        assert answer.status == 202
    assert put(developer, location, sha256(data)).status == 201
