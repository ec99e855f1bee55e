"""The storage explorer over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.common.clock import now
from core.database import raw
from core.projects.models import Project
from core.usage import queries
from core.usage.models import ProjectContent
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


def shown(cast: Cast, caller: str, path: str) -> dict[str, Any]:
    """Return an answer; its figures are those of the moment."""
    before = now()
    response = cast[caller].get(path)
    assert response.status_code == 200, response.content
    body = body_of(response)
    counted_at = datetime.fromisoformat(body["figures"].pop("counted_at"))
    assert before - timedelta(milliseconds=1) <= counted_at <= now()
    return body


def storage(cast: Cast, caller: str, query: str = "") -> dict[str, Any]:
    return shown(cast, caller, f"/projects/secret/storage{query}")


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
    found = shown(cast, "admin", "/storage?top=2")
    held = 7 + DOCUMENT + 8
    assert found["figures"] == {
        "logical_bytes": 2 * (7 + DOCUMENT) + 8 + 5 + 5 + 2,
        "deduplicated_bytes": held,
        "shared_bytes": 7,
        "pending_garbage_bytes": 8,
        "repository_count": 5,
        "blob_count": 3,
        "manifest_count": 1,
    }
    assert [
        (row["name"], row["used_bytes"], row["hard_bytes"]) for row in found["top_projects"]
    ] == [
        ("secret", held, 5000),
        ("hidden", 5, -1),
    ]
    assert [row["name"] for row in found["top_repositories"]] == ["secret/copy", "secret/app"]


def test_an_empty_registry(transactional_db: None) -> None:
    cast = make_cast()
    figures = {*shown(cast, "admin", "/storage")["figures"].values()}
    assert figures == {*storage(cast, "owner")["figures"].values()} == {0}


@pytest.mark.parametrize("top", ["0", "101", "x", "-1", "1.5", "9" * 30])
def test_top_has_bounds(cast: Cast, top: str) -> None:
    for path in ("/storage", "/projects/secret/storage"):
        response = cast["admin"].get(f"{path}?top={top}")
        assert response.status_code == 422
        assert "top" in errors_of(response)[0]["message"]
    assert len(storage(cast, "owner", "?top=1")["top_repositories"]) == 1


def test_kept_figures_tell_nobody_of_hidden_projects(cast: Cast) -> None:
    project, hidden = (Project.objects.get(name=name) for name in ("secret", "hidden"))
    for place in (project, hidden):
        ProjectContent.objects.create(
            project_id=place.pk, digest=b"\x01", is_manifest=False, size_bytes=1, holders=40_000
        )
    path = "/projects/secret/storage"
    answers = {name: body_of(cast[name].get(path)) for name in ("admin", "guest", "owner")}
    times = {answer["figures"]["counted_at"] for answer in answers.values()}
    assert len(times) == 1, "it was counted once"
    shared = {name: answer["figures"]["shared_bytes"] for name, answer in answers.items()}
    assert shared == {"admin": 8, "guest": 2, "owner": 2}
    make_member(hidden, cast.users["guest"], "guest")
    Project.objects.filter(name="open").update(is_public=False)
    assert body_of(cast["guest"].get(path))["figures"]["shared_bytes"] == 6
    assert body_of(cast["owner"].get(path))["figures"]["shared_bytes"] == 0
    assert body_of(cast["admin"].get(path))["figures"]["shared_bytes"] == 8


def test_a_count_that_fails_is_told(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def count(*_: object) -> None:
        raw.execute("SET LOCAL statement_timeout = '20ms'")
        raw.fetch_all("SELECT pg_sleep(60)")

    project = Project.objects.get(name="secret")
    ProjectContent.objects.create(
        project_id=project.pk, digest=b"\x01", is_manifest=False, size_bytes=1, holders=40_000
    )
    with monkeypatch.context() as patched:
        patched.setattr(queries, "count_storage", count)
        response = cast["owner"].get("/projects/secret/storage")
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert cast["owner"].get("/projects/secret/storage").status_code == 200
