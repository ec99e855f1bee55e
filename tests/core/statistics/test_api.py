"""Statistics over the management API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.artifacts.models import Repository
from core.authn.services import create_personal_token
from core.blobs.models import Blob
from core.common.clock import now
from core.grants.services import grant_repository
from core.rbac.types import Actor
from tests.core.api.cast import Caller, Cast, bearer, body_of, make_cast
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
