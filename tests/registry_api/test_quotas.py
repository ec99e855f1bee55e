"""Pushes into projects with a limit."""

import pytest

from core.blobs.models import Upload
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used
from tests.registry_api.asgi import Exchange
from tests.registry_api.cast import EMPTY_JSON, Client, image_manifest, sha256
from tests.registry_api.conftest import Place
from tests.registry_api.sending import MIB, patch, put, stored_objects

pytestmark = pytest.mark.django_db

SENTENCE = (
    "adding 2.0 KiB of storage resource, which when updated to current usage of 2 B will exceed "
    "the configured upper limit of 1.0 KiB."
)
DATA = b"x" * 2048


@pytest.mark.parametrize("way", ["whole", "at once", "in pieces"])
def test_edge_107_a_blob_over_the_limit_is_refused_and_forgotten(
    developer: Client, place: Place, way: str
) -> None:
    developer.push_blob(place.name, EMPTY_JSON)
    limit(place.project, 1024)
    before, digest = stored_objects(), sha256(DATA)
    if way == "whole":
        answer = developer.post(f"/v2/{place.name}/blobs/uploads/?digest={digest}", DATA)
    else:
        location = developer.start_upload(place.name)
        if way == "in pieces":
            assert patch(developer, location, DATA).status == 202
        answer = put(developer, location, digest, DATA if way == "at once" else b"")
        assert developer.get(location).status == 404
    assert answer.status == 403
    assert answer.codes == ["DENIED"]
    (error,) = answer.json()["errors"]
    assert error["message"] == SENTENCE
    assert error["detail"] == {"adding": 2048, "used": 2, "hard": 1024}
    assert stored_objects() == before
    assert not Upload.objects.filter(
        repository_name=place.name, committed_digest__isnull=True
    ).exists()
    assert developer.head(f"/v2/{place.name}/blobs/{digest}").status == 404
    assert used(place.project) == 2


def test_edge_53_a_mount_over_the_limit_leaves_no_link(
    administrator: Client, developer: Client, place: Place
) -> None:
    developer.push_blob(place.other, DATA)
    digest = sha256(DATA)
    limit(place.project, 2048)
    query = f"?mount={digest}&from={place.other}"
    assert developer.post(f"/v2/{place.name}/blobs/uploads/{query}", b"").status == 201
    assert used(place.project) == 2048
    source = f"library-{place.project.pk}/app"
    make_project(source.partition("/")[0])
    other = b"y" * 2048
    administrator.push_blob(source, other)
    query = f"?mount={sha256(other)}&from={source}"
    answer = administrator.post(f"/v2/{place.name}/blobs/uploads/{query}", b"")
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert administrator.head(f"/v2/{place.name}/blobs/{sha256(other)}").status == 404
    assert used(place.project) == truly_held(place.project) == 2048


def test_a_full_project_takes_again_what_it_has(developer: Client, place: Place) -> None:
    payload = developer.push_image(place.name, "v1")
    limit(place.project, used(place.project))
    assert developer.push_image(place.name, "v1") == payload
    assert developer.put_manifest(place.name, "v2", payload).status == 201
    answer = developer.put_manifest(place.name, "v3", image_manifest(EMPTY_JSON, [], x=1))
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert developer.get(f"/v2/{place.name}/manifests/v3").status == 404
    assert developer.get(f"/v2/{place.name}/manifests/v2").body == payload


def test_deleting_makes_room(developer: Client, owner: Client, place: Place) -> None:
    digest = developer.push_blob(place.name, DATA)
    limit(place.project, 2048)
    path = f"/v2/{place.name}/blobs/uploads/?digest={sha256(b'more')}"
    assert developer.post(path, b"more").status == 403
    assert owner.delete(f"/v2/{place.name}/blobs/{digest}").status == 202
    assert developer.post(path, b"more").status == 201


LONG = b"x" * (3 * MIB)


@pytest.mark.parametrize("way", ["POST", "PUT", "PATCH"])
def test_a_long_body_that_cannot_fit_is_not_waited_for(
    developer: Client, place: Place, way: str
) -> None:
    limit(place.project, 2 * MIB)
    location, digest = developer.start_upload(place.name), sha256(LONG)
    path = {
        "POST": f"/v2/{place.name}/blobs/uploads/?digest={digest}",
        "PUT": f"{location}?digest={digest}",
        "PATCH": location,
    }[way]
    # What follows the first half never comes: an answer that waited for it would be another.
    broken_off = Exchange([], leaves_early=True)
    answer = developer.request(
        way,
        path,
        headers={"Content-Length": str(len(LONG))},
        body=[LONG[: 2 * MIB]],
        exchange=broken_off,
    )
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert way == "POST" or developer.get(location).status == 404
    assert used(place.project) == 0


@pytest.mark.parametrize("way", ["PUT", "PATCH"])
def test_a_long_body_that_the_project_has_is_taken_again(
    developer: Client, place: Place, way: str
) -> None:
    digest = developer.push_blob(place.other, LONG)
    limit(place.project, MIB)
    location = developer.start_upload(place.name)
    if way == "PATCH":
        assert patch(developer, location, LONG).status == 202
    answer = put(developer, location, digest, LONG if way == "PUT" else b"")
    assert answer.status == 201
    assert used(place.project) == truly_held(place.project) == len(LONG)
