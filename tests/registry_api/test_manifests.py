"""Edge cases 65 to 89: manifests and tags."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from core.artifacts.models import Manifest, ManifestReference, Tag
from core.artifacts.services.repositories import delete_repository
from core.common.clock import now
from core.rbac.types import Actor
from tests.factories.tag_rules import make_tag_rule
from tests.registry_api.asgi import Answer
from tests.registry_api.cast import (
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Client,
    descriptor,
    image_manifest,
    index_manifest,
    sha256,
    sha512,
)
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

MAX_MANIFEST_BYTES = 4_194_304
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = b"a layer"


@pytest.fixture
def filled(developer: Client, place: Place) -> Place:
    """The repository has an empty configuration and one layer."""
    developer.push_blob(place.name, EMPTY_JSON)
    developer.push_blob(place.name, LAYER)
    return place


def image(**members: Any) -> bytes:
    return image_manifest(EMPTY_JSON, [LAYER], **members)


def tags_of(client: Client, place: Place) -> list[str]:
    tags: list[str] = client.get(f"/v2/{place.name}/tags/list").json()["tags"]
    return tags


def test_edge_65_push_by_tag_and_by_digest(developer: Client, filled: Place) -> None:
    payload = image()
    by_tag = developer.put_manifest(filled.name, "v1", payload)
    assert by_tag.status == 201
    assert by_tag.headers["location"] == f"/v2/{filled.name}/manifests/{sha256(payload)}"
    assert by_tag.headers["docker-content-digest"] == sha256(payload)
    assert "oci-tag" not in by_tag.headers
    assert developer.put_manifest(filled.name, sha256(payload), payload).status == 201
    several = developer.put_manifest(filled.name, f"{sha256(payload)}?tag=a&tag=b&tag=a", payload)
    assert several.status == 201
    assert several.headers["oci-tag"] == "a, b"
    ignored = developer.put_manifest(filled.name, "v2?tag=c", payload)
    assert ignored.status == 201
    assert "oci-tag" not in ignored.headers
    assert tags_of(developer, filled) == ["a", "b", "v1", "v2"]


def test_edge_65_one_bad_tag_refuses_all(developer: Client, filled: Place) -> None:
    payload = image()
    answer = developer.put_manifest(filled.name, f"{sha256(payload)}?tag=ok&tag=-bad", payload)
    assert (answer.status, answer.codes) == (400, ["TAG_INVALID"])
    assert developer.get(f"/v2/{filled.name}/manifests/ok").status == 404
    assert developer.get(f"/v2/{filled.name}/manifests/{sha256(payload)}").status == 404


def test_edge_66_other_digest(developer: Client, filled: Place) -> None:
    wrong = developer.put_manifest(filled.name, sha256(b"other"), image())
    assert (wrong.status, wrong.codes) == (400, ["DIGEST_INVALID"])
    path = f"/v2/{filled.name}/manifests/sha256:baddigeststring"
    for answer in (
        developer.put_manifest(filled.name, "sha256:baddigeststring", image()),
        developer.get(path),
    ):
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_edge_67_sha512_manifest_under_a_tag(developer: Client, filled: Place) -> None:
    payload = image()
    answer = developer.put_manifest(filled.name, f"{sha512(payload)}?tag=long", payload)
    assert answer.status == 201
    head = developer.head(f"/v2/{filled.name}/manifests/long")
    assert head.headers["docker-content-digest"] == sha512(payload)


def test_edge_68_both_algorithms(owner: Client, filled: Place) -> None:
    payload = image()
    for digest in (sha256(payload), sha512(payload)):
        assert owner.put_manifest(filled.name, digest, payload).status == 201
    path = f"/v2/{filled.name}/manifests/"
    assert owner.get(path + sha512(payload)).body == payload
    assert owner.delete(path + sha256(payload)).status == 202
    assert owner.get(path + sha256(payload)).status == 404
    assert owner.get(path + sha512(payload)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "\n",
        lambda text: "\n\t " + text.replace(",", " ,\r\n "),
        lambda text: text.replace('"a"', '"\\u0061"'),
        lambda text: json.dumps(dict(reversed(json.loads(text).items()))),
    ],
)
def test_edge_69_bytes_come_back_identical(
    developer: Client, filled: Place, change: Callable[[str], str]
) -> None:
    payload = change(image(annotations={"a": "\u00fc"}).decode()).encode()
    answer = developer.put_manifest(filled.name, "v1", payload)
    assert answer.status == 201, answer.body
    pulled = developer.get(f"/v2/{filled.name}/manifests/v1")
    assert pulled.body == payload
    assert pulled.headers["docker-content-digest"] == sha256(payload)


def test_edge_70_content_type(developer: Client, filled: Place) -> None:
    with_parameter = developer.put_manifest(
        filled.name, "v1", image(), f"{OCI_MANIFEST}; charset=utf-8"
    )
    assert with_parameter.status == 201
    pulled = developer.get(f"/v2/{filled.name}/manifests/v1")
    assert pulled.headers["content-type"] == OCI_MANIFEST
    differing = developer.put_manifest(filled.name, "v2", image(), DOCKER_MANIFEST)
    assert (differing.status, differing.codes) == (400, ["MANIFEST_INVALID"])
    untyped = json.loads(image())
    del untyped["mediaType"]
    inferred = developer.put_manifest(filled.name, "v3", json.dumps(untyped).encode(), None)
    assert inferred.status == 201
    pulled = developer.get(f"/v2/{filled.name}/manifests/v3")
    assert pulled.headers["content-type"] == OCI_MANIFEST


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/plain",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ],
)
def test_edge_71_unknown_media_type(developer: Client, filled: Place, media_type: str) -> None:
    payload = image(mediaType=media_type)
    answer = developer.put_manifest(filled.name, "v1", payload, media_type)
    assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])
    if "manifest.v1" in media_type:
        assert "schema" in answer.json()["errors"][0]["message"].lower()


def test_edge_72_missing_content_is_listed(developer: Client, filled: Place) -> None:
    missing = [b"missing 1", b"missing 2"]
    answer = developer.put_manifest(
        filled.name, "v1", image_manifest(b"missing 0", [LAYER, *missing])
    )
    assert answer.status == 400
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"] * 3
    listed = {error["detail"]["digest"] for error in answer.json()["errors"]}
    assert listed == {sha256(data) for data in (b"missing 0", *missing)}
    assert developer.get(f"/v2/{filled.name}/manifests/v1").status == 404


def test_edge_72_an_index_may_come_before_its_children(owner: Client, filled: Place) -> None:
    child = image(layers=[descriptor(LAYER, OCI_LAYER)])
    index = owner.put_manifest(filled.name, "v1", index_manifest([child]), OCI_INDEX)
    assert index.status == 201
    assert owner.get(f"/v2/{filled.name}/manifests/{sha256(child)}").status == 404
    assert owner.put_manifest(filled.name, sha256(child), child).status == 201
    refused = owner.delete(f"/v2/{filled.name}/manifests/{sha256(child)}")
    assert (refused.status, refused.codes) == (405, ["UNSUPPORTED"])


def test_edge_73_wrong_sizes(developer: Client, filled: Place) -> None:
    for size in (1, len(LAYER) + 1, -1, 1.5, str(len(LAYER)), 2**63, None, True):
        layer = {**descriptor(LAYER, OCI_LAYER), "size": size}
        answer = developer.put_manifest(filled.name, "v1", image(layers=[layer]))
        assert answer.status == 400, size
        assert answer.codes[0] in ("MANIFEST_INVALID", "SIZE_INVALID")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b"{",
        b'{"a":1}' * 2,
        b'{"schemaVersion":2,"schemaVersion":2}',
        image().replace(b'"layers"', b'"Layers"'),
        image()[:-1] + b',"Layers":[]}',
        image()[:-1] + b',"manifests":[]}',
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 100_000,
        image()[:-1] + b',"annotations":{"a":NaN}}',
        image().replace(b'"schemaVersion": 2', b'"schemaVersion": ' + b"9" * 5000),
        image(config=None),
        image(annotations={"a": 1}),
        image()[:-1] + b',"annotations":{"a":"\\ud800"}}',
        image()[:-1] + b',"annotations":{"a":"\\u0000"}}',
    ],
)
def test_edge_74_hostile_json(developer: Client, filled: Place, payload: bytes) -> None:
    answer = developer.put_manifest(filled.name, "v1", payload)
    assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_INVALID"})


def padded(length: int) -> bytes:
    bare = len(image(annotations={"pad": ""}))
    return image(annotations={"pad": "x" * (length - bare)})


def test_edge_75_largest_manifest(developer: Client, filled: Place) -> None:
    payload = padded(MAX_MANIFEST_BYTES)
    assert len(payload) == MAX_MANIFEST_BYTES
    assert developer.put_manifest(filled.name, "v1", payload).status == 201
    assert developer.get(f"/v2/{filled.name}/manifests/v1").body == payload


def test_edge_75_too_large_manifest(developer: Client, filled: Place) -> None:
    announced = developer.put_manifest(filled.name, "v1", padded(MAX_MANIFEST_BYTES + 1))
    assert (announced.status, announced.codes) == (413, ["MANIFEST_INVALID"])
    token = developer.token(f"repository:{filled.name}:pull,push")
    path = f"/v2/{filled.name}/manifests/v1"
    waiting = developer.request(
        "PUT",
        path,
        headers={"Expect": "100-continue"},
        body=padded(MAX_MANIFEST_BYTES + 1),
        token=token,
    )
    assert (waiting.status, waiting.received) == (413, 0)
    pieces = [b" " * (1 << 20)] * 6
    chunked = developer.request("PUT", path, body=pieces, token=token)
    assert (chunked.status, chunked.codes) == (413, ["MANIFEST_INVALID"])


def test_edge_76_nested_indexes(developer: Client, filled: Place) -> None:
    child = image()
    assert developer.put_manifest(filled.name, sha256(child), child).status == 201
    for depth in range(8):
        media_type = OCI_MANIFEST if depth == 0 else OCI_INDEX
        index = index_manifest([], manifests=[descriptor(child, media_type)] * 2)
        answer = developer.put_manifest(filled.name, f"depth-{depth}", index, OCI_INDEX)
        assert answer.status == 201, answer.body
        child = index
    assert developer.get(f"/v2/{filled.name}/manifests/depth-7").body == child


def test_edge_77_unusual_but_valid(developer: Client, filled: Place) -> None:
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": sha256(b"elsewhere"),
        "size": 9,
        "urls": ["https://example.org/layer"],
    }
    payloads = {
        "no-layers": image_manifest(EMPTY_JSON, []),
        "same-blob": image_manifest(EMPTY_JSON, [EMPTY_JSON]),
        "foreign": image(layers=[foreign]),
        "data": image(layers=[{**descriptor(EMPTY_JSON, OCI_LAYER), "data": "e30="}]),
    }
    for tag, payload in payloads.items():
        answer = developer.put_manifest(filled.name, tag, payload)
        assert answer.status == 201, (tag, answer.body)
    empty = developer.put_manifest(filled.name, "empty", index_manifest([]), OCI_INDEX)
    assert empty.status == 201
    wrong = image(layers=[{**descriptor(EMPTY_JSON, OCI_LAYER), "data": "e3s="}])
    assert developer.put_manifest(filled.name, "wrong", wrong).status == 400


def test_edge_78_subject(developer: Client, filled: Place) -> None:
    subject = descriptor(b"not here", OCI_MANIFEST)
    answer = developer.put_manifest(filled.name, "v1", image(subject=subject))
    assert answer.status == 201
    assert answer.headers["oci-subject"] == sha256(b"not here")
    malformed = image(subject={**subject, "digest": "sha256:x"})
    assert developer.put_manifest(filled.name, "v1", malformed).status == 400
    without = developer.put_manifest(filled.name, "v2", image())
    assert "oci-subject" not in without.headers


def test_edge_79_identical_push(developer: Client, filled: Place) -> None:
    payload = image()
    answers = [developer.put_manifest(filled.name, "v1", payload) for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3
    manifest = Manifest.objects.get(repository__name=filled.name)
    assert ManifestReference.objects.filter(parent=manifest).count() == 2
    assert Tag.objects.filter(repository__name=filled.name).count() == 1


def test_edge_80_concurrent_pushes_of_one_tag(developer: Client, filled: Place) -> None:
    payloads = [image(annotations={"number": str(number)}) for number in range(50)]
    token = developer.token(f"repository:{filled.name}:pull,push")

    def push(payload: bytes) -> Answer:
        return developer.request(
            "PUT",
            f"/v2/{filled.name}/manifests/shared",
            headers={"Content-Type": OCI_MANIFEST},
            body=payload,
            token=token,
        )

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(push, payloads))
    assert [answer.status for answer in answers] == [201] * len(payloads)
    final = developer.get(f"/v2/{filled.name}/manifests/shared")
    assert final.body in payloads
    history = Tag.objects.filter(repository__name=filled.name, name="shared").order_by("id")
    assert history.count() == len(payloads)
    assert [tag.ended_at for tag in history][:-1] == [tag.started_at for tag in history][1:]


def test_edge_81_immutable_tag(developer: Client, owner: Client, filled: Place) -> None:
    make_tag_rule(filled.project, "fix*")
    first, second = image(), image(annotations={"other": "x"})
    assert developer.put_manifest(filled.name, "fixed", first).status == 201
    assert developer.put_manifest(filled.name, "fixed", first).status == 201
    refused = developer.put_manifest(filled.name, "fixed", second)
    assert (refused.status, refused.codes) == (412, ["PRECONDITION"])
    (error,) = refused.json()["errors"]
    assert error["message"].startswith("Tag fixed is immutable")
    assert error["detail"] == {"repository": filled.name, "tag": "fixed"}
    mixed = developer.put_manifest(filled.name, f"{sha256(second)}?tag=free&tag=fixed", second)
    assert mixed.status == 412
    for reference in ("fixed", sha256(first)):
        kept = owner.delete(f"/v2/{filled.name}/manifests/{reference}")
        assert (kept.status, kept.codes) == (412, ["PRECONDITION"])
    assert tags_of(developer, filled) == ["fixed"]
    assert developer.get(f"/v2/{filled.name}/manifests/{sha256(second)}").status == 404


def test_edge_82_preconditions(developer: Client, filled: Place) -> None:
    first, second = image(), image(annotations={"other": "x"})
    assert developer.put_manifest(filled.name, "v1", first, If_None_Match="*").status == 201
    exists = developer.put_manifest(filled.name, "v1", second, If_None_Match="*")
    assert exists.status == 412
    stale = developer.put_manifest(filled.name, "v1", second, If_Match=f'"{sha256(second)}"')
    assert stale.status == 412
    assert developer.get(f"/v2/{filled.name}/manifests/v1").body == first
    current = developer.put_manifest(filled.name, "v1", second, If_Match=f'"{sha256(first)}"')
    assert current.status == 201
    weak = developer.put_manifest(filled.name, "v1", first, If_Match=f'W/"{sha256(second)}"')
    assert weak.status == 412
    hostile = developer.put_manifest(filled.name, "v1", second, If_Match="x" + " " * 9_000 + "x")
    assert (hostile.status, hostile.codes) == (400, ["UNSUPPORTED"])


@pytest.mark.parametrize("with_password", [False, True])
def test_head_by_a_pusher_keeps_an_untagged_manifest(
    developer: Client, guest: Client, filled: Place, *, with_password: bool
) -> None:
    payload = image()
    path = f"/v2/{filled.name}/manifests/{sha256(payload)}"
    assert developer.put_manifest(filled.name, sha256(payload), payload).status == 201
    stored = Manifest.objects.filter(repository__name=filled.name)

    def touched_after_head(client: Client, age: timedelta, *, known: bool = False) -> bool:
        before = now() - age
        stored.update(touched_at=before)
        token = client.token(f"repository:{filled.name}:pull,push")
        credentials = client.basic if with_password else f"Bearer {token}"
        headers = {"Authorization": credentials}
        if known:
            headers["If-None-Match"] = f'"{sha256(payload)}"'
        status = client.server.request("HEAD", path, headers=headers).status
        assert status == (304 if known else 200)
        return stored.get().touched_at > before

    assert not touched_after_head(developer, timedelta(hours=11))
    assert not touched_after_head(guest, timedelta(hours=13))
    assert touched_after_head(developer, timedelta(hours=13))
    assert touched_after_head(developer, timedelta(hours=13), known=True)


@pytest.mark.parametrize("tag", ["t" * 129, ".x", "-x", "a+b"])
def test_edge_83_invalid_tags(developer: Client, filled: Place, tag: str) -> None:
    answer = developer.put_manifest(filled.name, tag, image())
    assert (answer.status, answer.codes) == (400, ["TAG_INVALID"])


@pytest.mark.parametrize(
    "tag", ["t" * 128, "_x", "latest", "1", f"sha256-{'0' * 64}.sig"], ids=lambda tag: tag[:9]
)
def test_edge_83_valid_tags(developer: Client, filled: Place, tag: str) -> None:
    assert developer.put_manifest(filled.name, tag, image()).status == 201
    assert developer.get(f"/v2/{filled.name}/manifests/{tag}").status == 200


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", DOCKER_MANIFEST])
def test_edge_84_head_and_accept(developer: Client, filled: Place, accept: str | None) -> None:
    payload = image()
    developer.put_manifest(filled.name, "v1", payload)
    fields = {} if accept is None else {"Accept": accept}
    for method in ("HEAD", "GET"):
        answer = developer.request(method, f"/v2/{filled.name}/manifests/v1", headers=fields)
        assert answer.status == 200
        assert answer.headers["content-length"] == str(len(payload))
        assert answer.headers["content-type"] == OCI_MANIFEST
        assert answer.headers["docker-content-digest"] == sha256(payload)
        assert answer.body == (payload if method == "GET" else b"")


def test_manifest_conditions(developer: Client, filled: Place) -> None:
    payload = image()
    developer.put_manifest(filled.name, "v1", payload)
    path, tag = f"/v2/{filled.name}/manifests/v1", f'"{sha256(payload)}"'
    unchanged = developer.get(path, If_None_Match=tag)
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)
    assert developer.get(path, If_None_Match=f"W/{tag}").status == 304
    assert developer.get(path, If_None_Match='"other"').status == 200
    assert developer.get(path, If_Match=tag).status == 200
    for condition in ('"other"', f"W/{tag}"):
        assert developer.head(path, If_Match=condition).status == 412


def test_edge_85_untagged_manifest(developer: Client, filled: Place) -> None:
    payload = image()
    developer.put_manifest(filled.name, sha256(payload), payload)
    assert developer.get(f"/v2/{filled.name}/manifests/{sha256(payload)}").body == payload
    assert tags_of(developer, filled) == []


def test_edge_86_deletes(owner: Client, filled: Place) -> None:
    payload = image()
    for tag in ("a", "b", "c"):
        owner.put_manifest(filled.name, tag, payload)
    path = f"/v2/{filled.name}/manifests/"
    assert owner.delete(path + "a").status == 202
    again = owner.delete(path + "a")
    assert (again.status, again.codes) == (404, ["MANIFEST_UNKNOWN"])
    assert owner.get(path + sha256(payload)).status == 200
    assert tags_of(owner, filled) == ["b", "c"]
    assert owner.delete(path + sha256(payload)).status == 202
    for reference in ("b", "c", sha256(payload)):
        assert owner.get(path + reference).codes == ["MANIFEST_UNKNOWN"]
    assert tags_of(owner, filled) == []


def test_a_delete_of_what_has_changed(owner: Client, filled: Place) -> None:
    payload, other = image(), image(annotations={"other": "x"})
    for tag in ("a", "b"):
        owner.put_manifest(filled.name, tag, payload)
    current, stale = f'"{sha256(payload)}"', f'"{sha256(other)}"'
    path = f"/v2/{filled.name}/manifests/"
    for reference in ("a", sha256(payload)):
        for condition in (stale, f"W/{current}"):
            refused = owner.request("DELETE", path + reference, headers={"If-Match": condition})
            assert refused.status == 412
    assert tags_of(owner, filled) == ["a", "b"]
    for reference in ("a", sha256(payload)):
        ended = owner.request("DELETE", path + reference, headers={"If-Match": current})
        assert ended.status == 202
    assert tags_of(owner, filled) == []


def test_edge_87_child_of_a_live_index(owner: Client, filled: Place) -> None:
    child = image()
    owner.put_manifest(filled.name, sha256(child), child)
    index = index_manifest([child])
    assert owner.put_manifest(filled.name, "multi", index, OCI_INDEX).status == 201
    path = f"/v2/{filled.name}/manifests/"
    refused = owner.delete(path + sha256(child))
    assert (refused.status, refused.codes) == (405, ["UNSUPPORTED"])
    assert sha256(index) in refused.json()["errors"][0]["message"]
    assert owner.delete(path + sha256(index)).status == 202
    assert owner.delete(path + sha256(child)).status == 202


def test_edge_88_delete_racing_push(owner: Client, filled: Place) -> None:
    payload = image()
    path = f"/v2/{filled.name}/manifests/raced"
    token = owner.token(f"repository:{filled.name}:pull,push,delete")
    headers = {"Content-Type": OCI_MANIFEST}

    def act(number: int) -> int:
        if number % 2:
            return owner.request("DELETE", path, token=token).status
        return owner.request("PUT", path, headers=headers, body=payload, token=token).status

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(act, range(40)))
    assert statuses <= {201, 202, 404}
    listed = "raced" in tags_of(owner, filled)
    assert owner.get(path).status == (200 if listed else 404)


def test_edge_89_repository_deleted_during_a_push(developer: Client, filled: Place) -> None:
    location = developer.start_upload(filled.name)
    delete_repository(filled.name, actor=Actor.system())
    assert developer.get(location).codes == ["BLOB_UPLOAD_UNKNOWN"]
    answer = developer.put_manifest(filled.name, "v1", image())
    assert answer.status in (400, 404)
    assert not Tag.objects.filter(repository__name=filled.name).exists()


def test_artifacts_of_other_kinds(developer: Client, filled: Place) -> None:
    empty = {**descriptor(EMPTY_JSON, "application/vnd.oci.empty.v1+json"), "data": "e30="}
    kinds = {
        "oras": image(artifactType="application/vnd.example+type", config=empty),
        "helm": image(config=descriptor(EMPTY_JSON, "application/vnd.cncf.helm.config.v1+json")),
        "wasm": image(config=descriptor(EMPTY_JSON, "application/vnd.wasm.config.v0+json")),
        "model": image(
            artifactType="application/vnd.cncf.model.manifest.v1+json",
            config=descriptor(EMPTY_JSON, "application/vnd.cncf.model.config.v1+json"),
        ),
        "plain": image(config=descriptor(EMPTY_JSON, OCI_CONFIG)),
    }
    for tag, payload in kinds.items():
        assert developer.put_manifest(filled.name, tag, payload).status == 201
        assert developer.get(f"/v2/{filled.name}/manifests/{tag}").body == payload
    docker = image(mediaType=DOCKER_MANIFEST)
    pushed = developer.put_manifest(filled.name, "docker", docker, DOCKER_MANIFEST)
    assert pushed.status == 201
    pulled = developer.get(f"/v2/{filled.name}/manifests/docker")
    assert pulled.headers["content-type"] == DOCKER_MANIFEST
