"""Content of every shape, through its whole life: pushed, listed, read, deleted."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.conformance.conftest import Place
from tests.conformance.content import (
    ALGORITHMS,
    DATA_SETS,
    DataSet,
    Document,
    Manifest,
    digest_of,
    make_data_set,
)
from tests.conformance.uploads import push

pytestmark = pytest.mark.server

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", DATA_SETS)
def test_life_of(place: Place, name: str, algorithm: str) -> None:
    made = make_data_set(name, algorithm)
    push_all(place, made)
    assert_tags(place, made)
    for manifest in made.manifests:
        assert_readable(place, manifest)
        assert_referrers(place, made, manifest.digest)
    for subject in subjects(made):
        assert_referrers(place, made, subject)
    delete_all(place, made)


def push_all(place: Place, made: DataSet) -> None:
    """Push blobs, then each manifest by its digest, with its tag as a parameter, and again."""
    for content in made.blobs:
        push(place, content, made.algorithm)
    for manifest in made.manifests:
        tags = [manifest.tag] if manifest.tag else []
        query = "?" + "&".join(f"tag={tag}" for tag in tags) if tags else ""
        put(place, manifest, manifest.digest + query, tags)
        if manifest.tag and manifest.algorithm == "sha256":
            put(place, manifest, manifest.tag, [])


def put(place: Place, manifest: Manifest, reference: str, tags: list[str]) -> None:
    """Push a manifest and expect all that the answer has to tell."""
    headers = {"Content-Type": manifest.media_type}
    path = f"manifests/{reference}"
    answer = place.request("PUT", path, body=manifest.payload, headers=headers)
    assert answer.status == 201, answer
    assert answer.headers["docker-content-digest"] == manifest.digest
    assert place.registry.request("GET", answer.location).body == manifest.payload
    subject = manifest.document.get("subject")
    assert answer.headers.get("oci-subject") == (subject["digest"] if subject else None)
    listed = [tag.strip() for tag in answer.headers.get("oci-tag", "").split(",") if tag]
    assert listed == tags


def assert_tags(place: Place, made: DataSet) -> None:
    """Expect the list of tags, whole and from any of them on."""
    tags = sorted(manifest.tag for manifest in made.manifests if manifest.tag)
    answer = place.request("GET", "tags/list")
    assert (answer.status, answer.json) == (200, {"name": place.name, "tags": tags})
    for number, tag in enumerate(tags, start=1):
        assert place.request("GET", f"tags/list?last={tag}").json["tags"] == tags[number:]


def assert_readable(place: Place, manifest: Manifest) -> None:
    """Expect the very bytes, by digest and by tag."""
    for reference in filter(None, (manifest.digest, manifest.tag)):
        for method, body in (("HEAD", b""), ("GET", manifest.payload)):
            answer = place.request(method, f"manifests/{reference}")
            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["content-type"] == manifest.media_type
            assert answer.headers["content-length"] == str(len(manifest.payload))
            assert answer.headers["docker-content-digest"] == manifest.digest


def assert_referrers(place: Place, made: DataSet, subject: str) -> None:
    """Expect exactly the manifests about the subject, whole and by type."""
    expected = list(descriptors_of_referrers(made, subject))
    types = {"no such type", *(found.get("artifactType", "") for found in expected)} - {""}
    for wanted in (None, *types):
        query = "" if wanted is None else f"?artifactType={quote(wanted)}"
        answer = place.request("GET", f"referrers/{subject}{query}")
        assert (answer.status, answer.headers["content-type"]) == (200, INDEX_TYPE)
        assert answer.json["schemaVersion"] == 2
        assert answer.json["mediaType"] == INDEX_TYPE
        assert _sorted(answer.json["manifests"]) == _sorted(
            found for found in expected if wanted in (None, found.get("artifactType"))
        )
        if wanted is not None:
            assert answer.headers["oci-filters-applied"] == "artifactType"


def descriptors_of_referrers(made: DataSet, subject: str) -> Iterator[Document]:
    for manifest in made.manifests:
        document = manifest.document
        if document.get("subject", {}).get("digest") != subject:
            continue
        found = made.describe(manifest.payload, manifest.media_type)
        artifact_type = document.get("artifactType") or document.get("config", {}).get("mediaType")
        if artifact_type:
            found["artifactType"] = artifact_type
        if document.get("annotations"):
            found["annotations"] = document["annotations"]
        yield found


def subjects(made: DataSet) -> set[str]:
    """Return the subjects, also those that were never pushed."""
    return {m.document["subject"]["digest"] for m in made.manifests if "subject" in m.document}


def delete_all(place: Place, made: DataSet) -> None:
    """Delete tags, manifests with parents first, then blobs; each is gone at once."""
    tagged = [manifest for manifest in made.manifests if manifest.tag]
    paths = [f"manifests/{manifest.tag}" for manifest in tagged]
    paths += [f"manifests/{manifest.digest}" for manifest in reversed(made.manifests)]
    paths += [f"blobs/{digest_of(content, made.algorithm)}" for content in made.blobs]
    for path in paths:
        assert place.request("DELETE", path).status == 202, path
        assert place.request("HEAD", path).status == 404, path
    assert place.request("GET", "tags/list").json["tags"] == []
    for subject in subjects(made):
        assert place.request("GET", f"referrers/{subject}").json["manifests"] == []


def _sorted(descriptors: object) -> list[str]:
    assert not isinstance(descriptors, str)
    return sorted(json.dumps(item, sort_keys=True) for item in descriptors)  # type: ignore[attr-defined]
