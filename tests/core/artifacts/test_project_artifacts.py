"""Lists of artifacts: of a whole project, by every key, and what configurations say."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.artifacts.attributes import keep_unread_attributes
from core.artifacts.models import Manifest
from core.artifacts.services.tags import create_tag
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX, SPDX_JSON
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, body_of, make_cast, rows_of
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
    stored_files,
)
from tests.factories.projects import make_project

APP = "/projects/secret/repositories/app"
ALL = "/projects/secret/artifacts"
CONFIG = {
    "architecture": "arm64",
    "os": "linux",
    "author": "somebody",
    "created": "2026-01-01T00:00:00Z",
    "config": {"Cmd": ["run"]},
    "rootfs": {"type": "layers"},
    "history": [{"created_by": "RUN x"}, "odd"],
}


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Cast:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    return make_cast()


def ids(cast: Cast, path: str, **query: str) -> list[int]:
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    return [row["id"] for row in rows_of(cast["guest"].get(f"{path}?page_size=100&{text}"))]


def test_artifacts_of_a_project(cast: Cast) -> None:
    first = make_image(cast.project, "v1")
    second = make_image(cast.project, "v2", layers=(b"2",))
    other = make_image(cast.project, "v1", path="team/other")
    make_image(make_project("hidden"), "v1")
    sbom = push(cast.project, image_document(b"{}", [b"2"], artifact_type=SPDX_JSON), "s")
    assert ids(cast, ALL) == [sbom.id, other.id, second.id, first.id]
    assert ids(cast, ALL, sort="repository_name,push_time") == [
        first.id,
        second.id,
        sbom.id,
        other.id,
    ]
    newest = {"latest_in_repository": "true", "q": f"media_type={OCI_IMAGE_CONFIG}"}
    assert ids(cast, ALL, **newest) == [other.id, sbom.id][::-1]
    newest["q"] = f"artifact_type={OCI_IMAGE_CONFIG}"
    assert ids(cast, ALL, **newest) == [other.id, second.id]
    assert ids(cast, ALL, **{**newest, "q": newest["q"] + ",tags=v1"}) == [other.id, first.id]
    for query in ("", "q=tags%3D*", "q=media_type%3Da,artifact_type%3Db"):
        response = cast["guest"].get(f"{ALL}?latest_in_repository=true&{query}")
        assert response.status_code == 400
    (row,) = rows_of(cast["guest"].get(f"{ALL}?q=repository_name%3D~other"))
    assert row["repository_name"] == "secret/team/other"
    assert row["addition_links"]["build_history"]["href"].startswith(
        "/api/v2.0/projects/secret/repositories/team%252Fother/artifacts/sha256:"
    )


def test_every_key_of_a_list(cast: Cast) -> None:
    image = make_image(cast.project, "v1")
    make_blob(cast.project, b"x")
    index = push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    create_tag("secret/app", image.digest, "v2", actor=PUSHER)
    for query, expected in {
        "type=IMAGE": {image.id, index.id},
        f"media_type={OCI_IMAGE_INDEX}": {index.id},
        f"media_type={OCI_IMAGE_CONFIG}": {image.id},
        f"artifact_type={OCI_IMAGE_INDEX}": {index.id},
        f"digest={image.digest}": {image.id},
        "tags=v2": {image.id},
        "tags=~V": {image.id},
        "tags=(v1 v2)": {image.id},
        "tags=(v1 multi)": set(),
        "tags=*": {image.id, index.id},
        "tags=nil": set(),
        "push_time=[2026-01-01T00:00:00~]": {image.id, index.id},
        "pull_time=[2026-01-01T00:00:00~]": set(),
    }.items():
        assert set(ids(cast, APP + "/artifacts", q=query)) == expected, query
    for key in ("type", "media_type", "artifact_type", "push_time", "pull_time", "size", "id"):
        ordered = ids(cast, APP + "/artifacts", sort=key)
        assert sorted(ordered) == sorted([image.id, index.id]), key


def test_accessories_of_an_index_are_inherited(cast: Cast) -> None:
    make_image(cast.project)
    child = image_document(b"{}", [b"layer"])
    index = index_document(child)
    push(cast.project, index, "multi")
    signature = push(cast.project, image_document(b"{}", subject=index))
    path = f"{APP}/artifacts/{Digest.of(child)}"
    assert "inherited_accessories" not in body_of(cast["guest"].get(path))
    shown = body_of(cast["guest"].get(f"{path}?with_inherited_accessory=true"))
    (accessory,) = shown["inherited_accessories"]
    assert accessory["digest"] == str(signature.digest)
    assert accessory["subject_artifact_digest"] == str(Digest.of(index))


def test_what_a_configuration_says_is_read_once(cast: Cast) -> None:
    config = json.dumps(CONFIG).encode()
    made = [make_image(cast.project, "v1", config=config)]
    made.append(make_image(cast.project, "v2", config=b"no JSON", layers=(b"2",)))
    expected = {name: CONFIG[name] for name in ("architecture", "os", "author", "created")}
    expected["config"] = {"Cmd": ["run"]}
    assert body_of(cast["guest"].get(f"{APP}/artifacts/v1"))["extra_attrs"] == expected
    assert keep_unread_attributes(0, 10) == (1, made[1].id)
    assert keep_unread_attributes(0, 10) == (0, None)
    assert Manifest.objects.get(pk=made[1].id).extra_attrs == {}
    for key in stored_files():
        default_driver().delete(key.removeprefix("blob "))
    with CaptureQueriesContext(connection) as statements:
        rows = rows_of(cast["guest"].get(f"{APP}/artifacts?sort=push_time"))
    assert [row.get("extra_attrs") for row in rows] == [expected, None]
    assert not any("blobs_blob" in statement["sql"] for statement in statements)


def test_a_configuration_that_is_lost_is_left_out(cast: Cast) -> None:
    made = make_image(cast.project, "v1", config=json.dumps(CONFIG).encode())
    for key in stored_files():
        default_driver().delete(key.removeprefix("blob "))
    assert "extra_attrs" not in body_of(cast["guest"].get(f"{APP}/artifacts/v1"))
    assert keep_unread_attributes(0, 10) == (0, made.id)
    assert Manifest.objects.get(pk=made.id).extra_attrs is None


def annotated_index(child: bytes, annotations: dict[str, str]) -> bytes:
    """Return an index that has these annotations and gives them to what it lists."""
    document = json.loads(index_document(child))
    document["manifests"][0]["annotations"] = document["annotations"] = annotations
    return json.dumps(document).encode()


def test_lists_leave_out_large_annotations(cast: Cast) -> None:
    child = image_document(b"{}", [b"layer"])
    make_image(cast.project, "child", config=b"{}", layers=(b"layer",))
    small, large = {"note": "x"}, {"note": "é" * (33 << 10)}
    push(cast.project, annotated_index(child, small), "small")
    push(cast.project, annotated_index(child, large), "large")
    query = f"manifest_media_type={OCI_IMAGE_INDEX}"
    for route in (f"{APP}/artifacts", ALL):
        rows = {
            row["tags"][0]["name"]: (row.get("annotations"), row["references"][0])
            for row in rows_of(cast["guest"].get(f"{route}?q={quote(query)}"))
        }
        assert (rows["small"][0], rows["small"][1]["annotations"]) == (small, small)
        assert (rows["large"][0], "annotations" in rows["large"][1]) == (None, False)
    whole = body_of(cast["guest"].get(f"{APP}/artifacts/large"))
    assert whole["annotations"] == whole["references"][0]["annotations"] == large
