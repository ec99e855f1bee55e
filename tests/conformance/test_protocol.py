"""What the rest of the specification asks: the start, errors, lists, conditions, limits."""

import os

import pytest

from tests.clients.images import OCI_MANIFEST
from tests.clients.protocol import Answer, Registry
from tests.conformance.conftest import Place
from tests.conformance.content import DataSet, Manifest, digest_of, encode
from tests.conformance.test_data_sets import INDEX_TYPE, assert_readable, push_all, put
from tests.conformance.uploads import begin, push

pytestmark = pytest.mark.server

ABSENT = digest_of(b"absent")


def image(place: Place, tag: str | None = None) -> Manifest:
    """Push an image and return it."""
    made = DataSet()
    made.image(tag)
    push_all(place, made)
    return made.manifests[0]


def codes(answer: Answer) -> list[str]:
    """Return the codes of an error, whose body must have the form of the specification."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    errors = answer.json["errors"]
    assert all(isinstance(error["message"], str) for error in errors)
    return [error["code"] for error in errors]


def test_the_start(registry: Registry) -> None:
    for method in ("GET", "HEAD"):
        for path in ("/v2/", "/v2"):
            assert registry.request(method, path).status == 200
            anonymous = registry.as_account(None).request(method, path)
            assert anonymous.status == 401
            assert anonymous.headers["www-authenticate"].lower().startswith("bearer realm=")


def test_a_repository_that_does_not_exist(place: Place) -> None:
    answer = place.request("GET", "tags/list")
    assert (answer.status, codes(answer)) == (404, ["NAME_UNKNOWN"])
    referrers = place.request("GET", f"referrers/{ABSENT}")
    assert (referrers.status, referrers.headers["content-type"]) == (200, INDEX_TYPE)
    assert referrers.json == {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}


def test_a_repository_without_tags(place: Place) -> None:
    push(place, b"only a blob")
    assert place.request("GET", "tags/list").json == {"name": place.name, "tags": []}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
        ("GET", "manifests/absent", 404, "MANIFEST_UNKNOWN"),
        ("DELETE", "manifests/absent", 404, "MANIFEST_UNKNOWN"),
        ("DELETE", f"manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
        ("GET", "manifests/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("PUT", "manifests/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("PUT", f"manifests/{ABSENT}", 400, "DIGEST_INVALID"),
        ("PUT", "manifests/.bad", 400, "TAG_INVALID"),
        ("GET", f"blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
        ("GET", "blobs/sha256:bad", 400, "DIGEST_INVALID"),
        ("POST", "blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"),
        ("GET", "referrers/sha256:bad", 400, "DIGEST_INVALID"),
        ("GET", "tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("POST", f"blobs/{ABSENT}", 405, "UNSUPPORTED"),
    ],
)
def test_refusals(place: Place, method: str, path: str, status: int, code: str) -> None:
    image(place)
    payload = encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []})
    body = payload if method == "PUT" else b"" if method == "POST" else None
    headers = {"Content-Type": INDEX_TYPE} if method == "PUT" else {}
    answer = place.request(method, path, body=body, headers=headers)
    assert (answer.status, codes(answer)) == (status, [code])


def test_names(registry: Registry) -> None:
    for name in ("library/UPPER", "library/a..b", "library/-a", "library/a___b"):
        answer = registry.request("POST", f"/v2/{name}/blobs/uploads/", body=b"")
        assert (answer.status, codes(answer)) == (400, ["NAME_INVALID"]), name
    for name in ("library/a---b", "library/a__b", "library/blobs/uploads", "library/tags/list"):
        place = Place(registry, name)
        manifest = image(place, "v1")
        assert_readable(place, manifest)


def test_several_tags_in_one_push(place: Place) -> None:
    made = DataSet("sha512")
    made.image()
    push_all(place, made)
    (manifest,) = made.manifests
    put(place, manifest, f"{manifest.digest}?tag=b&tag=a&tag=b", ["a", "b"])
    for tag in ("a", "b"):
        head = place.request("HEAD", f"manifests/{tag}")
        assert head.headers["docker-content-digest"] == manifest.digest


def test_deleting_by_digest_ends_every_tag(place: Place) -> None:
    manifest = image(place, "v1")
    put(place, manifest, "v2", [])
    assert place.request("DELETE", "manifests/v2").status == 202
    assert_readable(place, manifest)
    put(place, manifest, "v2", [])
    assert place.request("DELETE", f"manifests/{manifest.digest}").status == 202
    for reference in ("v1", "v2", manifest.digest):
        assert place.request("GET", f"manifests/{reference}").status == 404


def test_missing_blobs_are_listed(place: Place) -> None:
    made = DataSet()
    made.image("v1")
    (manifest,) = made.manifests
    push(place, made.blobs[0])
    answer = place.request(
        "PUT", "manifests/v1", body=manifest.payload, headers={"Content-Type": OCI_MANIFEST}
    )
    assert (answer.status, codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"] * 2)
    listed = {error["detail"]["digest"] for error in answer.json["errors"]}
    assert listed == {digest_of(content) for content in made.blobs[1:]}


def test_tags_come_in_pages(place: Place) -> None:
    manifest = image(place)
    tags = ["A", "B", "a", "b", "c1", "c2", "z"]
    query = "&".join(f"tag={tag}" for tag in tags)
    put(place, manifest, f"{manifest.digest}?{query}", tags)
    seen: list[str] = []
    path = f"/v2/{place.name}/tags/list?n=3"
    while path:
        answer = place.registry.request("GET", path)
        assert len(answer.json["tags"]) <= 3
        seen += answer.json["tags"]
        path = following(answer)
    assert seen == tags
    assert place.request("GET", "tags/list?last=aa").json["tags"] == tags[3:]
    none = place.request("GET", "tags/list?n=0")
    assert (none.json["tags"], following(none)) == ([], "")


def following(answer: Answer) -> str:
    """Return where the next page is, from the Link header."""
    link = answer.headers.get("link", "")
    assert not link or link.endswith('>; rel="next"')
    return link.partition("<")[2].partition(">")[0]


def test_conditions(place: Place) -> None:
    manifest = image(place, "v1")
    found = place.request("GET", "manifests/v1")
    tag = found.headers["etag"]
    same = place.request("GET", "manifests/v1", headers={"If-None-Match": tag})
    assert (same.status, same.body) == (304, b"")
    other = image(place)
    headers = {"Content-Type": OCI_MANIFEST}
    for condition in ({"If-None-Match": "*"}, {"If-Match": f'"{other.digest}"'}):
        answer = place.request(
            "PUT", "manifests/v1", body=other.payload, headers=headers | condition
        )
        assert answer.status == 412, condition
    assert_readable(place, manifest)
    moved = place.request(
        "PUT", "manifests/v1", body=other.payload, headers=headers | {"If-Match": tag}
    )
    assert moved.status == 201


def test_limits(place: Place) -> None:
    large = encode({"annotations": {"note": "x" * 4_194_304}})
    answer = place.request("PUT", "manifests/v1", body=large, headers={"Content-Type": INDEX_TYPE})
    assert (answer.status, codes(answer)) == (413, ["MANIFEST_INVALID"])
    payload = encode({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []})
    query = "&".join(f"tag=t{number}" for number in range(65))
    path = f"manifests/{digest_of(payload)}?{query}"
    answer = place.request("PUT", path, body=payload, headers={"Content-Type": INDEX_TYPE})
    assert answer.status == 414
    assert codes(answer)


def test_what_clients_add_is_ignored(place: Place) -> None:
    manifest = image(place, "v1")
    for headers in ({"Accept": "text/html"}, {"Accept": ""}, {"Accept-Encoding": "gzip, zstd"}):
        answer = place.request("GET", "manifests/v1?ns=docker.io&etag=1", headers=headers)
        assert (answer.status, answer.body) == (200, manifest.payload)
        assert "content-encoding" not in answer.headers
    parameters = {"Content-Type": f"{OCI_MANIFEST}; charset=utf-8"}
    put_again = place.request("PUT", "manifests/v1", body=manifest.payload, headers=parameters)
    assert put_again.status == 201
    assert_readable(place, manifest)


def test_a_blob_of_another_repository_is_unknown(place: Place) -> None:
    digest = push(place.beside("other"), os.urandom(100))
    push(place, b"here")
    assert place.request("HEAD", f"blobs/{digest}").status == 404


def test_an_upload_belongs_to_its_repository(place: Place) -> None:
    location = begin(place)
    elsewhere = location.replace(place.name, place.beside("other").name)
    answer = place.registry.request("GET", elsewhere)
    assert (answer.status, codes(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    assert place.registry.request("GET", location).status == 204


def test_content_in_use_stays(place: Place) -> None:
    made = DataSet()
    made.index([made.image()], "all")
    push_all(place, made)
    child, index = made.manifests
    for path in (f"manifests/{child.digest}", f"blobs/{digest_of(made.blobs[0])}"):
        answer = place.request("DELETE", path)
        assert (answer.status, codes(answer)) == (405, ["UNSUPPORTED"])
    assert_readable(place, index)
    assert_readable(place, child)
