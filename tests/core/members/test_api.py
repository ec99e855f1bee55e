"""Projects, members and roles over the management API."""

from typing import Any

import pytest

from core.members.models import Membership
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.members import make_group, make_member, make_person, make_role
from tests.factories.projects import make_project, make_repository


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_a_project_is_created_read_changed_and_deleted(cast: Cast) -> None:
    outsider = cast["outsider"]
    created = outsider.post(
        "/projects",
        {
            "project_name": "mine",
            "metadata": {"public": "false", "auto_scan": "false", "severity": "low"},
            "storage_limit": -1,
            "registry_id": None,
            "cve_allowlist": {"items": []},
        },
    )
    assert (created.status_code, created.content) == (201, b"")
    shown = body_of(outsider.get(created["Location"]))
    assert shown.pop("creation_time").endswith("Z")
    assert shown.pop("update_time").endswith("Z")
    assert shown == {
        "project_id": int(created["Location"].rpartition("/")[2]),
        "name": "mine",
        "owner_id": cast.users["outsider"].pk,
        "owner_name": "outsider",
        "current_user_role_id": 1,
        "current_user_role_ids": [1],
        "repo_count": 0,
        "metadata": {
            "public": "false",
            "reuse_sys_cve_allowlist": "true",
            "auto_scan": "false",
            "severity": "low",
        },
        "cve_allowlist": {
            "project_id": int(created["Location"].rpartition("/")[2]),
            "items": [],
        },
    }
    changed = outsider.put("/projects/mine", {"metadata": {"public": "true"}})
    assert (changed.status_code, changed.content) == (200, b"")
    assert body_of(outsider.get("/projects/mine"))["metadata"] == {
        **shown["metadata"],
        "public": "true",
    }
    assert outsider.delete("/projects/mine").status_code == 200
    assert outsider.get("/projects/mine").status_code == 403
    assert cast["admin"].get("/projects/mine").status_code == 404


def test_the_location_may_hold_the_name(cast: Cast) -> None:
    created = cast["admin"].post(
        "/projects", {"project_name": "mine"}, X_Resource_Name_In_Location="true"
    )
    assert created["Location"] == "/api/v2.0/projects/mine"


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "name"),
        ({"project_name": "UPPER"}, 400, "name"),
        ({"project_name": "a__b"}, 400, "name"),
        ({"project_name": "x" * 256}, 400, "name"),
        ({"project_name": "x" * 600}, 422, "project_name"),
        ({"project_name": "secret"}, 409, "secret"),
        ({"project_name": "new", "metadata": {"public": "perhaps"}}, 400, "public"),
        ({"project_name": "new", "metadata": {"prevent_vul": "yes"}}, 400, "metadata.prevent_vul"),
        ({"project_name": "new", "metadata": {"retention_id": "7"}}, 400, "metadata.retention_id"),
        ({"project_name": "new", "metadata": {"colour": "red"}}, 400, "colour"),
        ({"project_name": "new", "metadata": ["public"]}, 422, "metadata"),
        ({"project_name": "new", "metadata": {"public": {}}}, 422, "metadata.public"),
        ({"project_name": "new", "storage_limit": -2}, 422, "storage_limit"),
        ({"project_name": "new", "storage_limit": "much"}, 422, "storage_limit"),
        ({"project_name": "new", "registry_id": 7}, 400, "registry_id"),
        ({"project_name": "new", "cve_allowlist": {"items": [{}]}}, 422, "cve_allowlist.items[0]"),
        (
            {"project_name": "new", "cve_allowlist": {"items": [{"cve_id": "a b"}]}},
            400,
            "items: 'a b'",
        ),
    ],
)
def test_bad_projects(cast: Cast, body: dict[str, Any], status: int, named: str) -> None:
    response = cast["owner"].post("/projects", body)
    assert response.status_code == status, response.content
    assert named in errors_of(response)[0]["message"]


def test_metadata_wins_over_public(cast: Cast) -> None:
    body = {"project_name": "new", "public": True, "metadata": {"public": "false"}}
    cast["owner"].post("/projects", body)
    assert body_of(cast["owner"].get("/projects/new"))["metadata"]["public"] == "false"


def test_lists_show_only_visible_projects(cast: Cast) -> None:
    make_project("open", is_public=True)
    hidden = make_project("hidden")
    make_member(hidden, make_group("team", cast.users["outsider"]), "guest")

    def names(actor: str) -> list[str]:
        return [row["name"] for row in rows_of(cast[actor].get("/projects"))]

    assert names("admin") == ["hidden", "open", "secret"]
    assert names("guest") == ["open", "secret"]
    assert names("outsider") == ["hidden", "open"]
    assert names("anonymous") == ["open"]
    assert names("project_robot") == ["open", "secret"]
    assert names("system_robot") == ["hidden", "open", "secret"]


def test_roles_of_groups_count_and_the_strongest_leads(cast: Cast) -> None:
    make_member(cast.project, make_group("team", cast.users["guest"]), "maintainer")
    shown = body_of(cast["guest"].get("/projects/secret"))
    assert shown["current_user_role_id"] == 4
    assert shown["current_user_role_ids"] == [4, 3]


def test_a_project_with_repositories_stays(cast: Cast) -> None:
    make_repository(cast.project)
    assert body_of(cast["owner"].get("/projects/secret/_deletable")) == {
        "deletable": False,
        "message": "the project contains 1 repositories",
    }
    response = cast["owner"].delete("/projects/secret")
    assert response.status_code == 412
    assert errors_of(response)[0]["code"] == "PRECONDITION"
    assert body_of(cast["owner"].get("/projects/secret"))["repo_count"] == 1


def test_the_summary_counts_members_for_those_who_may_list_them(cast: Cast) -> None:
    assert body_of(cast["guest"].get("/projects/secret/summary")) == {
        "repo_count": 0,
        "project_admin_count": 1,
        "maintainer_count": 1,
        "developer_count": 1,
        "guest_count": 1,
        "limited_guest_count": 1,
        "quota": {"hard": {"storage": -1}, "used": {"storage": 0}},
    }
    assert body_of(cast["limited"].get("/projects/secret/summary")) == {
        "repo_count": 0,
        "quota": {"hard": {"storage": -1}, "used": {"storage": 0}},
    }
    make_project("open", is_public=True)
    for actor in ("anonymous", "outsider"):
        assert body_of(cast[actor].get("/projects/open/summary")) == {"repo_count": 0}
        refused = cast[actor].get("/projects/open/storage").status_code
        assert refused == (401 if actor == "anonymous" else 403)
    make_member(cast.project, cast.users["outsider"], make_role("x", ["project:read"]))
    assert body_of(cast["guest"].get("/projects/secret/summary"))["custom_role_count"] == 1


def test_a_member_is_added_read_changed_and_removed(cast: Cast) -> None:
    owner, user = cast["owner"], cast.users["outsider"]
    body = {"role_id": 3, "member_user": {"username": "outsider"}}
    created = owner.post("/projects/secret/members", body)
    assert (created.status_code, created.content) == (201, b"")
    membership = Membership.objects.get(user=user)
    assert created["Location"] == f"/api/v2.0/projects/secret/members/{membership.pk}"
    assert body_of(owner.get(created["Location"])) == {
        "id": membership.pk,
        "project_id": cast.project.pk,
        "entity_name": "outsider",
        "entity_id": user.pk,
        "entity_type": "u",
        "role_id": 3,
        "role_name": "guest",
    }
    assert cast["outsider"].get("/projects/secret").status_code == 200
    assert owner.post("/projects/secret/members", body).status_code == 409
    assert owner.put(created["Location"], {"role_id": 2}).status_code == 200
    assert body_of(owner.get(created["Location"]))["role_name"] == "developer"
    assert owner.delete(created["Location"]).status_code == 200
    assert owner.get(created["Location"]).status_code == 404
    assert cast["outsider"].get("/projects/secret").status_code == 403


def test_groups_are_members_too(cast: Cast) -> None:
    group = make_group("team", cast.users["outsider"])
    body = {"role_id": 3, "member_group": {"group_name": "team", "group_type": 2}}
    created = cast["owner"].post("/projects/secret/members", body)
    shown = body_of(cast["owner"].get(created["Location"]))
    assert (shown["entity_type"], shown["entity_id"]) == ("g", group.pk)
    assert cast["outsider"].get("/projects/secret").status_code == 200


def test_members_are_found_by_a_part_of_their_name(cast: Cast) -> None:
    rows = rows_of(cast["owner"].get("/projects/secret/members?entityname=GUE"))
    assert [row["entity_name"] for row in rows] == ["guest"]
    rows = rows_of(cast["owner"].get("/projects/secret/members?q=role_id%3D1"))
    assert [row["entity_name"] for row in rows] == ["owner"]
    # Only a range in brackets has its ends.
    rows = rows_of(cast["owner"].get("/projects/secret/members?q=role_id__gt=1,role_id__lt=3"))
    assert {row["role_id"] for row in rows} == {2}
    rows = rows_of(cast["owner"].get("/projects/secret/members?q=role_id=[1~2]"))
    assert {row["role_id"] for row in rows} == {1, 2}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"role_id": 3}, 400),
        ({"role_id": 3, "member_user": {}}, 400),
        ({"role_id": 3, "member_user": {"user_id": 1}, "member_group": {"id": 1}}, 400),
        ({"role_id": 3, "member_user": {"username": "ghost"}}, 404),
        ({"role_id": 3, "member_user": {"user_id": 999_999}}, 404),
        ({"role_id": 3, "member_group": {"group_name": "ghosts"}}, 404),
        ({"role_id": 3, "member_group": {"id": 999_999}}, 404),
        ({"role_id": 99, "member_user": {"username": "outsider"}}, 404),
        ({"role_id": 0, "member_user": {"username": "outsider"}}, 422),
        ({"role_id": 10**30, "member_user": {"username": "outsider"}}, 422),
        ({"role_id": 3, "member_user": "outsider"}, 422),
        ({"role_id": 3, "member_user": {"username": "x\u2028y"}}, 404),
    ],
)
def test_bad_members(cast: Cast, body: dict[str, Any], status: int) -> None:
    response = cast["owner"].post("/projects/secret/members", body)
    assert response.status_code == status, response.content
    assert errors_of(response)


def test_a_member_of_another_project_is_not_found(cast: Cast) -> None:
    other = make_member(make_project("other"), make_person("stranger"), "guest")
    for method in ("GET", "DELETE"):
        response = cast["owner"].call(method, f"/projects/secret/members/{other.pk}")
        assert response.status_code == 404


def test_whoever_manages_members_gives_no_more_than_they_hold(cast: Cast) -> None:
    manager = make_role("recruiter", ["member:list", "member:create", "repository:pull"])
    make_member(cast.project, cast.users["outsider"], manager)
    body = {"role_id": 1, "member_user": {"user_id": cast.users["admin"].pk}}
    response = cast["outsider"].post("/projects/secret/members", body)
    assert response.status_code == 403
    assert errors_of(response)[0]["code"] == "FORBIDDEN"


def test_a_custom_role(cast: Cast) -> None:
    admin = cast["admin"]
    created = admin.post(
        "/roles", {"name": "puller", "permissions": ["repository:pull", "project:read"]}
    )
    assert created.status_code == 201
    shown = body_of(cast["guest"].get(created["Location"]))
    assert shown == {
        "role_id": shown["role_id"],
        "name": "puller",
        "built_in": False,
        "permissions": ["project:read", "repository:pull"],
    }
    member = make_member(cast.project, cast.users["outsider"], make_role("x", ["project:read"]))
    changed = cast["owner"].put(
        f"/projects/secret/members/{member.pk}", {"role_id": shown["role_id"]}
    )
    assert changed.status_code == 200
    assert cast["outsider"].get("/projects/secret").status_code == 200
    assert admin.delete(created["Location"]).status_code == 409
    assert admin.put(created["Location"], {"permissions": ["tag:list"]}).status_code == 200
    assert cast["outsider"].get("/projects/secret").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/roles", {"name": "x"}, 422),
        ("POST", "/roles", {"name": "projectAdmin", "permissions": []}, 409),
        ("POST", "/roles", {"name": "x", "permissions": ["user:create"]}, 400),
        ("POST", "/roles", {"name": "x y", "permissions": []}, 400),
        ("PUT", "/roles/1", {"description": "mine"}, 403),
        ("DELETE", "/roles/1", None, 403),
        ("DELETE", "/roles/9999", None, 404),
    ],
)
def test_bad_roles(cast: Cast, method: str, path: str, body: Any, status: int) -> None:
    response = cast["admin"].call(method, path, body)
    assert response.status_code == status, response.content
    assert errors_of(response)


def test_counting_ids_shows_no_hidden_project(cast: Cast) -> None:
    for name in ("outsider", "anonymous"):
        for path in ("", "/summary", "/members"):
            hidden, missing = (
                cast[name].get(f"/projects/{number}{path}")
                for number in (cast.project.pk, cast.project.pk + 999_999)
            )
            assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
            assert hidden.status_code in (401, 403)
            assert cast.project.name.encode() not in hidden.content
