"""The search over the management API."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.artifacts.models import Repository
from core.common.clock import now
from core.grants.services import grant_repository
from core.projects.models import Project
from core.rbac.types import Actor
from core.search.queries import MAXIMUM_HITS
from tests.core.api.cast import Caller, Cast, body_of, errors_of, make_cast
from tests.factories.projects import make_project, make_repository


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def search(caller: Caller, text: str) -> dict[str, Any]:
    answer = caller.get(f"/search?q={text}")
    assert answer.status_code == 200, answer.content
    return body_of(answer)


def names(caller: Caller, text: str) -> tuple[list[str], list[str]]:
    found = search(caller, text)
    return (
        [project["name"] for project in found["project"]],
        [repository["repository_name"] for repository in found["repository"]],
    )


def test_nobody_finds_what_lists_would_not_show(cast: Cast) -> None:
    for project in (
        cast.project,
        make_project("open", is_public=True),
        make_project("secretive"),
    ):
        make_repository(project, "secret-app")
    granted = Repository.objects.get(name="secretive/secret-app")
    grant_repository(granted, user=cast.users["outsider"], permission="pull", actor=Actor.system())
    everything = ["open/secret-app", "secret/secret-app", "secretive/secret-app"]
    for actor, projects, repositories in (
        ("admin", ["secret", "secretive"], sorted(everything, key=lambda name: (len(name), name))),
        ("limited", ["secret"], everything[:2]),
        ("outsider", [], [everything[0], everything[2]]),
        ("anonymous", [], everything[:1]),
        ("project_robot", ["secret"], everything[:2]),
    ):
        assert names(cast[actor], "SECRET") == (projects, repositories), actor


def test_the_shape_of_hits(cast: Cast) -> None:
    make_repository(cast.project, "empty")
    found = search(cast["owner"], "secret")
    (project,) = found["project"]
    assert (project["name"], project["repo_count"], project["current_user_role_id"]) == (
        "secret",
        1,
        1,
    )
    assert project["metadata"]["public"] == "false"
    assert found["repository"] == [
        {
            "project_id": cast.project.pk,
            "project_name": "secret",
            "project_public": False,
            "repository_name": "secret/empty",
            "pull_count": 0,
            "artifact_count": 0,
        }
    ]


def test_wildcards_of_sql_are_plain_text(cast: Cast) -> None:
    for name in ("a_b", "acb", "a-b"):
        make_repository(cast.project, name)
    owner = cast["owner"]
    assert names(owner, "a_b") == ([], ["secret/a_b"])
    assert names(owner, "%25") == ([], [])
    assert names(owner, "%5C") == ([], [])
    assert names(owner, "%27%20OR%201=1--") == ([], [])
    assert names(owner, "\u00e9\U0001f433") == ([], [])


def test_the_closest_names_come_first_and_hits_are_bounded(cast: Cast) -> None:
    at = now()
    Project.objects.bulk_create(
        Project(name=f"app-{n:03d}", is_public=True, created_at=at, updated_at=at)
        for n in range(MAXIMUM_HITS + 5)
    )
    make_project("app", is_public=True)
    make_project("zapp", is_public=True)
    projects, repositories = names(cast["anonymous"], "app")
    assert projects == ["app", "zapp", *(f"app-{n:03d}" for n in range(MAXIMUM_HITS - 2))]
    assert repositories == []


def test_bounds_of_the_text(cast: Cast) -> None:
    for query, message in (("", "q in query is required"), (f"?q={'x' * 256}", "at most 255")):
        refused = cast["owner"].get(f"/search{query}")
        assert refused.status_code == 422
        assert message in errors_of(refused)[0]["message"]
    assert cast["owner"].get("/search?q=a%00b").status_code == 400
    assert names(cast["owner"], "") == (["secret"], [])
    assert names(cast["owner"], "x" * 255) == ([], [])


def test_the_number_of_statements_does_not_grow(cast: Cast) -> None:
    counts = []
    for number in (2, 20):
        for n in range(number):
            project = make_project(f"app-{number}-{n}", is_public=True)
            make_repository(project)
        cast["guest"].get("/search?q=app")
        with CaptureQueriesContext(connection) as statements:
            assert len(search(cast["guest"], "app")["repository"]) >= number
        counts.append(len(statements))
    # The login takes two, both kinds of hits one each and the memberships before the second;
    # roles, numbers of repositories, allowlists and numbers of artifacts the rest.
    assert counts == [counts[0], counts[0]]
    assert counts[0] <= 9
