"""The storage explorer over HTTP."""

from typing import Any

import pytest

from core.projects.models import Project
from tests.core.api.cast import Cast, body_of, errors_of, make_cast
from tests.factories.artifacts import image_document, make_blob, make_image
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.factories.quotas import limit

DOCUMENT = len(image_document(b"{}", [b"layer"]))


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    """Two repositories with one image, a blob that nothing needs, a hidden and a public project."""
    found = make_cast()
    make_image(found.project, "v1")
    make_image(found.project, "v1", path="copy")
    make_blob(found.project, b"garbage!", "copy")
    make_blob(found.project, b"layer", "third")
    make_blob(make_project("hidden"), b"layer")
    make_blob(make_project("open", is_public=True), b"{}")
    limit(found.project, 5000)
    return found


def storage(cast: Cast, caller: str, query: str = "") -> dict[str, Any]:
    response = cast[caller].get(f"/projects/secret/storage{query}")
    assert response.status_code == 200, response.content
    return body_of(response)


def test_a_project(cast: Cast) -> None:
    held = 7 + DOCUMENT + 8
    assert storage(cast, "owner") == {
        "quota": {"hard": {"storage": 5000}, "used": {"storage": held}},
        "figures": {
            "logical_bytes": 2 * (7 + DOCUMENT) + 8 + 5,
            "deduplicated_bytes": held,
            "shared_bytes": 2,
            "pending_garbage_bytes": 8,
            "repository_count": 3,
            "blob_count": 3,
            "manifest_count": 1,
        },
        "top_repositories": [
            {"name": "secret/copy", "bytes": 15 + DOCUMENT, "blobs": 3, "manifests": 1},
            {"name": "secret/app", "bytes": 7 + DOCUMENT, "blobs": 2, "manifests": 1},
            {"name": "secret/third", "bytes": 5, "blobs": 1, "manifests": 0},
        ],
    }


def test_what_is_shared_does_not_tell_of_hidden_projects(cast: Cast) -> None:
    assert storage(cast, "admin")["figures"]["shared_bytes"] == 7
    assert storage(cast, "guest")["figures"]["shared_bytes"] == 2
    make_member(Project.objects.get(name="hidden"), cast.users["guest"], "guest")
    assert storage(cast, "guest")["figures"]["shared_bytes"] == 7


def test_the_registry(cast: Cast) -> None:
    shown = body_of(cast["admin"].get("/storage?top=2"))
    held = 7 + DOCUMENT + 8
    assert shown["figures"] == {
        "logical_bytes": 2 * (7 + DOCUMENT) + 8 + 5 + 5 + 2,
        "deduplicated_bytes": held,
        "shared_bytes": 7,
        "pending_garbage_bytes": 8,
        "repository_count": 5,
        "blob_count": 3,
        "manifest_count": 1,
    }
    assert [
        (row["name"], row["used_bytes"], row["hard_bytes"]) for row in shown["top_projects"]
    ] == [
        ("secret", held, 5000),
        ("hidden", 5, -1),
    ]
    assert [row["name"] for row in shown["top_repositories"]] == ["secret/copy", "secret/app"]


def test_an_empty_registry(transactional_db: None) -> None:
    cast = make_cast()
    figures = {*body_of(cast["admin"].get("/storage"))["figures"].values()}
    assert figures == {*storage(cast, "owner")["figures"].values()} == {0}


@pytest.mark.parametrize("top", ["0", "101", "x", "-1", "1.5", "9" * 30])
def test_top_has_bounds(cast: Cast, top: str) -> None:
    for path in ("/storage", "/projects/secret/storage"):
        response = cast["admin"].get(f"{path}?top={top}")
        assert response.status_code == 422
        assert "top" in errors_of(response)[0]["message"]
    assert len(storage(cast, "owner", "?top=1")["top_repositories"]) == 1
