"""Repository grants and explanations over the management API."""

from typing import Any

import pytest

from core.authn.services import create_personal_token
from core.robots.models import Robot
from tests.core.api.cast import Cast, bearer, body_of, errors_of, make_cast, rows_of
from tests.factories.members import make_group
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot
from tests.factories.users import actor_of

APP = "/projects/secret/repositories/team%252Fapp"


@pytest.fixture
def cast(db: None) -> Cast:
    cast = make_cast()
    make_repository(cast.project, "team/app")
    make_repository(cast.project, "team/other")
    return cast


def test_a_grant_opens_one_repository_until_it_is_removed(cast: Cast) -> None:
    owner, outsider = cast["owner"], cast["outsider"]
    assert outsider.get(APP).status_code == 403
    created = owner.post(f"{APP}/grants", {"username": "outsider", "right": "pull"})
    assert (created.status_code, created.content) == (201, b"")
    assert outsider.get(APP).status_code == 200
    assert outsider.get(APP.replace("app", "other")).status_code == 403
    assert outsider.put(APP, {"description": "x"}).status_code == 403
    listed = [row["name"] for row in rows_of(outsider.get("/repositories"))]
    assert listed == ["secret/team/app"]

    user_id = cast.users["outsider"].pk
    response = owner.get(f"{APP}/grants")
    assert response["X-Total-Count"] == "1"
    assert rows_of(response) == [
        {
            "id": f"u-{user_id}-pull",
            "entity_type": "u",
            "entity_id": user_id,
            "entity_name": "outsider",
            "right": "pull",
        }
    ]
    assert created["Location"] == f"/api/v2.0{APP}/grants/u-{user_id}-pull"
    again = owner.post(f"{APP}/grants", {"user_id": user_id, "right": "pull"})
    assert again.status_code == 409
    assert owner.delete(created["Location"]).status_code == 200
    assert outsider.get(APP).status_code == 403
    assert owner.delete(created["Location"]).status_code == 404


def test_a_grant_to_a_group(cast: Cast) -> None:
    make_group("team", cast.users["outsider"])
    created = cast["owner"].post(f"{APP}/grants", {"group_name": "team", "right": "push"})
    assert cast["outsider"].put(APP, {"description": "x"}).status_code == 200
    assert [row["name"] for row in rows_of(cast["outsider"].get("/repositories"))] == [
        "secret/team/app"
    ]
    assert cast["owner"].delete(created["Location"]).status_code == 200
    assert cast["outsider"].get(APP).status_code == 403


@pytest.mark.parametrize(
    ("scopes", "projects", "is_seen"),
    [
        (["management:read"], [], True),
        (["management:read", "repository:pull"], ["secret", "elsewhere"], True),
        (["management:write"], ["secret"], True),
        (["management:read"], ["elsewhere"], False),
    ],
)
def test_a_token_lists_a_granted_repository_where_it_reads_it(
    cast: Cast, scopes: list[str], projects: list[str], is_seen: bool
) -> None:
    make_group("team", cast.users["outsider"])
    make_project("elsewhere", is_public=True)
    cast["owner"].post(f"{APP}/grants", {"username": "outsider", "right": "pull"})
    other = APP.replace("app", "other")
    cast["owner"].post(f"{other}/grants", {"group_name": "team", "right": "pull"})
    user = cast.users["outsider"]
    token = bearer(
        create_personal_token(
            user, name="t", scopes=scopes, project_names=projects, actor=actor_of(user)
        ).secret
    )
    expected = ["secret/team/app", "secret/team/other"] if is_seen else []
    assert token.get(APP).status_code == (200 if is_seen else 403)
    lists = token.get("/repositories"), token.get("/search?q=team"), token.get("/statistics")
    assert [row["name"] for row in rows_of(lists[0])] == expected
    found = body_of(lists[1])["repository"]
    assert [row["repository_name"] for row in found] == expected
    assert body_of(lists[2])["private_repo_count"] == len(expected)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"right": "pull"}, 400),
        ({"username": "outsider", "user_id": 1, "right": "pull"}, 400),
        ({"username": "outsider", "right": "admin"}, 422),
        ({"username": "ghost", "right": "pull"}, 404),
        ({"user_id": 999_999, "right": "pull"}, 404),
        ({"group_name": "ghosts", "right": "pull"}, 404),
        ({"group_id": 999_999, "right": "pull"}, 404),
    ],
)
def test_bad_grants(cast: Cast, body: dict[str, Any], status: int) -> None:
    response = cast["owner"].post(f"{APP}/grants", body)
    assert response.status_code == status, response.content
    assert errors_of(response)


@pytest.mark.parametrize("grant", ["u-1", "x-1-pull", "u-999999-pull", "u-1-own", "g-1-pull"])
def test_unknown_grants(cast: Cast, grant: str) -> None:
    response = cast["owner"].delete(f"{APP}/grants/{grant}")
    assert response.status_code in (400, 404)
    assert errors_of(response)


def explained(cast: Cast, actor: str, query: str) -> dict[str, Any]:
    response = cast[actor].get(f"/explain?{query}")
    assert response.status_code == 200, response.content
    return body_of(response)


def test_the_caller_learns_why(cast: Cast) -> None:
    answer = explained(cast, "guest", "permission=repository:pull&project=secret")
    assert answer == {
        "allowed": True,
        "permission": "repository:pull",
        "subject": "guest",
        "reasons": ["member of the project: guest"],
    }
    refused = explained(cast, "guest", "permission=repository:push&project=secret")
    assert refused["allowed"] is False
    assert len(refused["reasons"]) == 1


def test_a_hidden_project_is_explained_like_a_missing_one(cast: Cast) -> None:
    hidden = explained(cast, "outsider", "permission=project:read&project=secret")
    missing = explained(cast, "outsider", "permission=project:read&project=nosuch")
    hidden["reasons"] = [text.replace("secret", "nosuch") for text in hidden["reasons"]]
    assert hidden == missing


def test_others_are_explained_to_those_who_manage_them(cast: Cast) -> None:
    cast["owner"].post(f"{APP}/grants", {"username": "outsider", "right": "push"})
    query = "permission=repository:push&project=secret&repository=team/app&user=outsider"
    for actor in ("owner", "admin"):
        answer = explained(cast, actor, query)
        assert (answer["allowed"], answer["subject"]) == (True, "outsider")
        assert answer["reasons"] == ["repository grant: push"]
    ghost = query.replace("outsider", "ghost")
    assert cast["owner"].get(f"/explain?{ghost}").status_code == 404
    assert cast["guest"].get(f"/explain?{ghost}").status_code == 403
    of_system = "permission=user:list&user=outsider"
    assert cast["owner"].get(f"/explain?{of_system}").status_code == 403
    assert explained(cast, "admin", of_system)["allowed"] is False


def test_a_repository_is_named_as_in_paths(cast: Cast) -> None:
    cast["owner"].post(f"{APP}/grants", {"username": "outsider", "right": "pull"})
    for name in ("team/app", "team%2Fapp", "team%252Fapp"):
        query = f"permission=repository:pull&project=secret&repository={name}"
        assert explained(cast, "outsider", query)["allowed"] is True, name
    nul = "permission=repository:pull&project=secret&repository=a%2500"
    assert cast["outsider"].get(f"/explain?{nul}").status_code == 400


def test_read_only_mode_is_a_reason(cast: Cast) -> None:
    assert cast["admin"].put("/configurations", {"read_only": True}).status_code == 200
    for actor in ("admin", "maintainer"):
        for permission in ("repository:push", "artifact:delete", "trash:restore"):
            answer = explained(cast, actor, f"permission={permission}&project=secret")
            assert answer["allowed"] is False
            assert "read-only mode" in answer["reasons"][0]
        assert explained(cast, actor, "permission=repository:pull&project=secret")["allowed"]
    # Who may not anyway learns that.
    query = "permission=repository:push&project=secret"
    assert "no role or grant" in explained(cast, "guest", query)["reasons"][0]
    assert cast["admin"].put("/configurations", {"read_only": False}).status_code == 200
    assert explained(cast, "maintainer", query)["allowed"] is True


def test_robots_are_explained_to_those_who_see_them(cast: Cast) -> None:
    make_robot("builder", project=cast.project)
    make_robot("everywhere", project=None)
    push = "permission=repository:push&project=secret&user="
    for actor in ("admin", "owner"):
        answer = explained(cast, actor, f"{push}robot-secret%2Bbuilder")
        assert (answer["allowed"], answer["subject"]) == (True, "robot-secret+builder")
    refused = explained(cast, "admin", "permission=tag:delete&project=secret&user=robot-everywhere")
    assert (refused["allowed"], refused["subject"]) == (False, "robot-everywhere")
    for hidden in ("robot-everywhere", "robot-secret%2Bnone", "robot-"):
        assert cast["owner"].get(f"/explain?{push}{hidden}").status_code == 404, hidden
    assert cast["guest"].get(f"/explain?{push}robot-secret%2Bbuilder").status_code == 403
    Robot.objects.filter(name="builder").update(is_disabled=True)
    answer = explained(cast, "owner", f"{push}robot-secret%2Bbuilder")
    assert (answer["allowed"], answer["reasons"]) == (False, ["the robot is disabled or expired"])


def test_administrators_learn_that_a_project_does_not_exist(cast: Cast) -> None:
    query = "/explain?permission=repository:push&project=nosuch"
    for asked in (query, f"{query}&repository=app", f"{query}&user=guest"):
        assert cast["admin"].get(asked).status_code == 404, asked
    admin = cast.users["admin"]
    limited = create_personal_token(
        admin,
        name="t",
        scopes=["management:read"],
        project_names=["secret"],
        actor=actor_of(admin),
    )
    hidden = bearer(limited.secret).get(query.replace("nosuch", "open"))
    assert bearer(limited.secret).get(query).status_code == hidden.status_code == 200


@pytest.mark.parametrize(
    "query", ["", "permission=", "permission=no:such", "permission=tag:list&repository=app"]
)
def test_bad_questions(cast: Cast, query: str) -> None:
    assert cast["guest"].get(f"/explain?{query}").status_code == 422
