"""Statistics over the management API."""

from pathlib import Path

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest, ManifestReference, Repository, RepositoryBlob
from core.artifacts.services.repositories import delete_repository
from core.authn.services import create_personal_token
from core.blobs.models import Blob
from core.common.clock import now
from core.grants.services import grant_repository
from core.rbac.types import Actor
from tests.core.api.cast import Caller, Cast, bearer, body_of, make_cast
from tests.factories.artifacts import PUSHER, make_blob, make_image, storage_in
from tests.factories.projects import make_project, make_repository
from tests.factories.users import actor_of

STORAGE = "total_storage_consumption"


@pytest.fixture
def cast(db: None) -> Cast:
    """One more private project than the cast has, and two public ones, with repositories."""
    cast = make_cast()
    for name in ("open", "wide"):
        project = make_project(name, is_public=True)
        for path in ("a", "b"):
            make_repository(project, path)
    make_repository(cast.project)
    make_repository(make_project("hidden"))
    return cast


def counts(caller: Caller) -> dict[str, list[int]]:
    answer = body_of(caller.get("/statistics"))
    return {
        what: [answer[f"{which}_{what}_count"] for which in ("private", "public", "total")]
        for what in ("project", "repo")
    }


def make_blobs(*sizes: int) -> None:
    for size in sizes:
        Blob.objects.create(
            digest=bytes([1, size]), size_bytes=size, storage_key=str(size), created_at=now()
        )


def test_what_the_caller_sees_is_counted(cast: Cast) -> None:
    granted = Repository.objects.get(name="hidden/app")
    grant_repository(granted, user=cast.users["outsider"], permission="pull", actor=Actor.system())
    for actor, projects, repositories in (
        ("admin", [2, 2, 4], [2, 4, 6]),
        ("owner", [1, 2, 3], [1, 4, 5]),
        ("limited", [1, 2, 3], [1, 4, 5]),
        ("outsider", [0, 2, 2], [1, 4, 5]),
        ("project_robot", [1, 2, 3], [1, 4, 5]),
    ):
        assert counts(cast[actor]) == {"project": projects, "repo": repositories}, actor
    assert cast["anonymous"].get("/statistics").status_code == 401


def test_only_system_administrators_see_what_is_stored(cast: Cast) -> None:
    assert body_of(cast["admin"].get("/statistics"))[STORAGE] == 0
    make_blobs(100, 23)
    assert body_of(cast["admin"].get("/statistics"))[STORAGE] == 123
    for actor in ("owner", "outsider", "project_robot", "system_robot"):
        assert STORAGE not in body_of(cast[actor].get("/statistics"))


def test_what_is_stored_agrees_with_the_storage_explorer(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    with storage_in(tmp_path, settings):
        one, other = make_project("one"), make_project("other")
        for project, path in ((one, "a"), (one, "b"), (other, "a")):
            make_image(project, "v1", path=path, layers=(b"shared",))
        make_image(other, "v1", path="own", layers=(b"own" * 10,))
        make_image(other, "v1", path="gone", layers=(b"gone" * 20,))
        make_blob(one, b"pushed without a manifest", "a")
        delete_repository("other/gone", actor=PUSHER)
    total = body_of(cast["admin"].get("/statistics"))[STORAGE]
    storage = body_of(cast["admin"].get("/storage"))["figures"]

    def bytes_of(blobs: "QuerySet[Blob]") -> int:
        return sum(blobs.values_list("size_bytes", flat=True))

    manifests = sum(dict(Manifest.objects.values_list("digest", "size_bytes")).values())
    linked = RepositoryBlob.objects.values("blob")
    held_by_none = bytes_of(Blob.objects.exclude(pk__in=linked))
    assert held_by_none == len(b"gone" * 20)
    assert total == storage["deduplicated_bytes"] - manifests + held_by_none
    named = ManifestReference.objects.exclude(blob=None).values("blob")
    assert total == bytes_of(Blob.objects.filter(pk__in=named)) + storage["pending_garbage_bytes"]
    assert storage["pending_garbage_bytes"] == held_by_none + len(b"pushed without a manifest")


def test_a_token_of_an_administrator_counts_no_more_than_it_reaches(cast: Cast) -> None:
    make_blobs(100)
    admin = cast.users["admin"]
    whole, limited = (
        bearer(
            create_personal_token(
                admin,
                name=name,
                scopes=["management:read"],
                project_names=projects,
                actor=actor_of(admin),
            ).secret
        )
        for name, projects in (("whole", ()), ("limited", ("hidden",)))
    )
    assert body_of(whole.get("/statistics"))[STORAGE] == 100
    assert counts(limited) == {"project": [1, 0, 1], "repo": [1, 0, 1]}
    assert STORAGE not in body_of(limited.get("/statistics"))


def test_the_number_of_statements_is_fixed(cast: Cast) -> None:
    for actor, expected in (("owner", 5), ("admin", 5)):
        cast[actor].get("/statistics")
        with CaptureQueriesContext(connection) as statements:
            cast[actor].get("/statistics")
        assert len(statements) == expected, [query["sql"] for query in statements]
