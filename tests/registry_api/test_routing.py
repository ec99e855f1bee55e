"""Edge cases 1 to 13: routing, names and errors."""

import pytest

from registry_api.app import HANDLERS
from registry_api.routing import Endpoint, locate
from tests.registry_api.asgi import HOST, Server
from tests.registry_api.cast import Client, basic, challenge_of, image_manifest, sha256
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

LONGEST = 255


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_edge_1_version_endpoint(server: Server, developer: Client, method: str, path: str) -> None:
    anonymous = server.request(method, path)
    assert anonymous.status == 401
    assert anonymous.headers["docker-distribution-api-version"] == "registry/2.0"
    assert challenge_of(anonymous) == {
        "realm": f"http://{HOST}/service/token",
        "service": HOST,
    }
    known = developer.request(method, path)
    assert known.status == 200
    assert known.headers["docker-distribution-api-version"] == "registry/2.0"
    assert known.headers["x-request-id"] != anonymous.headers["x-request-id"]
    assert known.body == (b"" if method == "HEAD" else b"{}")


@pytest.mark.parametrize(
    "path", ["a/blobs/b", "x/manifests", "uploads/tags/list", "blobs/uploads", "referrers/x"]
)
def test_edge_2_reserved_words_in_names(developer: Client, place: Place, path: str) -> None:
    name = f"{place.project.name}/{path}"
    data = path.encode()
    location = developer.start_upload(name)
    assert location.startswith(f"/v2/{name}/blobs/uploads/")
    assert developer.request("PATCH", location, body=data).status == 202
    assert developer.get(location).status == 204
    digest = sha256(data)
    assert developer.request("PUT", f"{location}?digest={digest}", body=b"").status == 201
    assert developer.get(f"/v2/{name}/blobs/{digest}").body == data
    manifest = image_manifest(data, [])
    assert developer.put_manifest(name, "v1", manifest).status == 201
    assert developer.get(f"/v2/{name}/manifests/v1").body == manifest
    assert developer.get(f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["v1"]}
    assert developer.get(f"/v2/{name}/referrers/{digest}").json()["manifests"] == []


@pytest.mark.parametrize("path", ["App", "\u00e4pp", "APP/x", "%C3%A4"])
def test_edge_3_uppercase_or_non_ascii_name(
    server: Server, developer: Client, place: Place, path: str
) -> None:
    address = f"/v2/{place.project.name}/{path}/tags/list"
    assert server.request("GET", address).status == 401
    answer = developer.get(address)
    assert answer.status == 400
    assert answer.codes == ["NAME_INVALID"]


def test_edge_4_longest_name(developer: Client, place: Place) -> None:
    name = f"{place.project.name}/".ljust(LONGEST, "a")
    assert len(name) == LONGEST
    developer.push_image(name, "v1")
    assert developer.get(f"/v2/{name}/tags/list").json()["tags"] == ["v1"]
    too_long = developer.get(f"/v2/{name}a/tags/list")
    assert too_long.status == 400
    assert too_long.codes == ["NAME_INVALID"]


@pytest.mark.parametrize("path", ["a//b", "a/", ".a", "a..b", "a___b", "a-", "a._b"])
def test_edge_5_invalid_names(developer: Client, place: Place, path: str) -> None:
    answer = developer.get(f"/v2/{place.project.name}/{path}/tags/list")
    assert answer.status == 400
    assert answer.codes == ["NAME_INVALID"]


@pytest.mark.parametrize("path", ["a---b", "a__b", "1", "0/0/0/0"])
def test_edge_5_valid_names(developer: Client, place: Place, path: str) -> None:
    name = f"{place.project.name}/{path}"
    developer.push_image(name, "v1")
    assert developer.get(f"/v2/{name}/manifests/v1").status == 200


def test_a_name_without_a_project_says_so(developer: Client) -> None:
    answer = developer.get("/v2/ubuntu/tags/list")
    assert answer.status == 400
    assert answer.codes == ["NAME_INVALID"]
    assert "<project>/<repository>" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("hostile", ["%2e%2e%2f", "%2f", "%00", "\\", "%5c", "..", "%ff", "%"])
def test_edge_6_hostile_names_and_references(developer: Client, place: Place, hostile: str) -> None:
    for path in (
        f"/v2/{place.name}/{hostile}/tags/list",
        f"/v2/{place.name}{hostile}x/manifests/v1",
        f"/v2/{place.name}/manifests/{hostile}",
        f"/v2/{place.name}/blobs/{hostile}",
        f"/v2/{place.name}/blobs/sha256:{hostile}",
        f"/v2/{place.name}/referrers/{hostile}",
        f"/v2/{place.name}/blobs/uploads/{hostile}",
        f"/v2/{hostile}/{place.name}/tags/list",
    ):
        assert developer.get(path).status in (400, 404), path


def test_edge_6_hostile_queries(server: Server, developer: Client, place: Place) -> None:
    developer.push_image(place.name, "v1")
    digest = sha256(b"x")
    token = developer.token(f"repository:{place.name}:pull,push")
    uploads = f"/v2/{place.name}/blobs/uploads/"
    for method, path in (
        ("GET", f"/v2/{place.name}/referrers/{digest}?artifactType=%00"),
        ("GET", f"/v2/{place.name}/tags/list?last=%00"),
        ("POST", f"{uploads}?mount={digest}&from=%00"),
        ("POST", f"{uploads}?mount={digest}&from=a/b&from=c/d"),
    ):
        answer = developer.request(method, path, body=b"", token=token)
        assert (answer.status, answer.codes) == (400, ["UNSUPPORTED"]), path
    for headers in ({}, {"Authorization": basic("developer", "wrong")}):
        for query in ("from=a/b&from=c/d", "from=%00"):
            refused = server.request("POST", f"{uploads}?{query}", headers=headers)
            assert refused.status == 401
            assert challenge_of(refused)["scope"] == f"repository:{place.name}:pull,push"


def test_edge_7_wrong_method(server: Server) -> None:
    expected = {
        "/v2/": "GET, HEAD",
        "/v2/_catalog": "GET, HEAD",
        "/v2/p/r/tags/list": "GET, HEAD",
        "/v2/p/r/manifests/v1": "DELETE, GET, HEAD, PUT",
        "/v2/p/r/blobs/sha256:x": "DELETE, GET, HEAD",
        "/v2/p/r/blobs/uploads/": "POST",
        "/v2/p/r/blobs/uploads/x": "DELETE, GET, HEAD, PATCH, PUT",
        "/v2/p/r/referrers/sha256:x": "GET, HEAD",
        "/service/token": "GET, HEAD, POST",
    }
    for path, allowed in expected.items():
        answer = server.request("TRACE", path)
        assert answer.status == 405
        assert answer.codes == ["UNSUPPORTED"]
        assert answer.headers["allow"] == allowed
    assert set(HANDLERS) == set(Endpoint) - {Endpoint.UNKNOWN}


@pytest.mark.parametrize(
    "path", ["/v2/p/r", "/v2/p/r/unknown", "/v2/_oci/ext/discover", "/v2/tags/list", "/v2//"]
)
def test_edge_7_unknown_path(server: Server, path: str) -> None:
    answer = server.request("GET", path)
    assert answer.status == 404
    assert answer.codes == ["UNSUPPORTED"]


def test_edge_8_errors_have_an_envelope_but_not_for_head(developer: Client, place: Place) -> None:
    path = f"/v2/{place.name}/manifests/missing"
    developer.push_image(place.name, "v1")
    found = developer.get(path)
    assert found.status == 404
    assert found.headers["content-type"] == "application/json"
    (error,) = found.json()["errors"]
    assert error["code"] == "MANIFEST_UNKNOWN"
    assert error["detail"] == {"reference": "missing"}
    head = developer.head(path)
    assert head.status == 404
    assert head.body == b""


@pytest.mark.parametrize("suffix", ["blobs/uploads", "blobs/uploads/"])
def test_edge_9_uploads_with_and_without_slash(
    developer: Client, place: Place, suffix: str
) -> None:
    assert developer.post(f"/v2/{place.name}/{suffix}", b"").status == 202


def test_edge_10_unknown_parameters_are_ignored(developer: Client, place: Place) -> None:
    extra = "etag=x&ns=docker.io&foo=%20&foo=2"
    developer.push_image(place.name, "v1")
    location = developer.start_upload(place.name, f"?{extra}")
    digest = sha256(b"data")
    assert developer.request("PATCH", f"{location}?{extra}", body=b"data").status == 202
    closing = f"{location}?{extra}&digest={digest}"
    assert developer.request("PUT", closing, body=b"").status == 201
    for path in (f"blobs/{digest}", "manifests/v1", "tags/list", f"referrers/{digest}"):
        assert developer.get(f"/v2/{place.name}/{path}?{extra}").status == 200
    assert developer.get(f"/v2/?{extra}").status == 200


def test_edge_10_contradictory_digests(developer: Client, place: Place) -> None:
    location = developer.start_upload(place.name)
    first, second = sha256(b"a"), sha256(b"b")
    answer = developer.request("PUT", f"{location}?digest={first}&digest={second}", body=b"a")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    same = developer.request("PUT", f"{location}?digest={first}&digest={first}", body=b"a")
    assert same.status == 201


def test_edge_11_long_paths_and_queries(developer: Client, server: Server, place: Place) -> None:
    path = f"/v2/{place.name}/{'a' * 5000}/tags/list"
    assert server.request("GET", path).status == 414
    long_query = f"/v2/{place.name}/tags/list?last={'a' * 70_000}"
    assert server.request("GET", long_query, headers={"Authorization": "x"}).status == 401
    token = developer.token(f"repository:{place.name}:pull")
    assert developer.request("GET", long_query, token=token).status == 414


def test_edge_11_too_many_tags(developer: Client, place: Place) -> None:
    manifest = developer.push_image(place.name, "v1")
    tags = "&".join(f"tag=t{number}" for number in range(500))
    answer = developer.put_manifest(place.name, f"{sha256(manifest)}?{tags}", manifest)
    assert answer.status == 414
    assert developer.get(f"/v2/{place.name}/tags/list").json()["tags"] == ["v1"]
    many = "&".join(f"tag=t{number}" for number in range(2000))
    answer = developer.put_manifest(place.name, f"{sha256(manifest)}?{many}", manifest)
    assert answer.status == 414


def test_edge_12_addresses(server: Server, developer: Client, place: Place) -> None:
    forged = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"}
    answer = server.request("GET", "/v2/", headers=forged)
    assert challenge_of(answer)["realm"] == f"http://{HOST}/service/token"
    strange = server.request("GET", "/v2/", headers={"Host": 'a",b="c'})
    assert challenge_of(strange)["realm"] == "http://127.0.0.1:5000/service/token"
    assert developer.start_upload(place.name).startswith("/v2/")


@pytest.mark.parametrize("name", ["api", "token", "healthz", "service", "v2"])
def test_edge_13_names_equal_to_other_paths(administrator: Client, place: Place, name: str) -> None:
    repository = f"{place.project.name}/{name}"
    administrator.push_image(repository, "v1")
    assert administrator.get(f"/v2/{repository}/manifests/v1").status == 200
    neighbour = f"{repository}x"
    administrator.push_image(neighbour, "v2")
    assert administrator.get(f"/v2/{repository}/tags/list").json()["tags"] == ["v1"]
    assert administrator.get(f"/v2/{neighbour}/tags/list").json()["tags"] == ["v2"]


def test_segments_are_decoded_one_by_one() -> None:
    assert locate(b"/v2/a/b/manifests/sha256%3Aab").item == "sha256:ab"
    assert locate(b"/v2/a%2Fb/manifests/v1").name == "a%252Fb"
    assert locate(b"/v2/a/b/blobs/x%2Fy").item == "x%252Fy"
