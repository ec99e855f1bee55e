"""What clients of Harbor send and rely on: its Terraform provider and its command line.

The requests are theirs, byte for byte where it matters: paths with their encoding and trailing
slashes, bodies with every member that they always send.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import override_settings

from core.storage.selection import default_driver
from tests.core.api.cast import Caller, Cast, basic, body_of, errors_of, rows_of
from tests.factories.artifacts import make_image
from tests.factories.users import PASSWORD

LOCATION = re.compile(r"/api/v2\.0/(?:[^/]+/)+(\d+)")
NO_METADATA = {
    "enable_content_trust": "false",
    "enable_content_trust_cosign": "false",
    "auto_scan": "false",
    "auto_sbom_generation": "false",
    "prevent_vul": "false",
    "reuse_sys_cve_allowlist": "true",
}


@dataclass(frozen=True)
class Resource:
    """One resource of the provider: what it creates, how it changes it, what it then reads."""

    path: str
    create: dict[str, Any]
    update: dict[str, Any]
    read: dict[str, Any]


RESOURCES = [
    Resource(
        "/projects",
        {
            "project_name": "main",
            "registry_id": None,
            "storage_limit": -1,
            "metadata": {"public": "false", **NO_METADATA},
            "cve_allowlist": {"items": []},
        },
        {"project_name": "main", "metadata": {"public": "true", **NO_METADATA}},
        {"name": "main", "metadata.public": "true"},
    ),
    Resource(
        "/users",
        {
            "username": "carol",
            "password": PASSWORD,
            "email": "carol@example.org",
            "realname": "Carol",
            "comment": "",
            "sysadmin_flag": False,
        },
        {"email": "carol@example.org", "realname": "Carol C.", "comment": ""},
        {"username": "carol", "realname": "Carol C.", "sysadmin_flag": False},
    ),
    Resource(
        "/usergroups",
        {"group_name": "builders", "group_type": 3, "ldap_group_dn": ""},
        {"group_name": "makers", "group_type": 3, "ldap_group_dn": ""},
        {"group_name": "makers"},
    ),
    Resource(
        "/labels",
        {"name": "tested", "description": "", "color": "#FF0000", "scope": "g"},
        {"name": "tested", "description": "by QA", "color": "#00FF00", "scope": "g"},
        {"name": "tested", "description": "by QA", "scope": "g"},
    ),
    Resource(
        "/projects/secret/members",
        {"role_id": 2, "member_user": {"username": "outsider"}},
        {"role_id": 4},
        {"role_id": 4, "role_name": "maintainer", "entity_name": "outsider", "entity_type": "u"},
    ),
    Resource(
        "/robots",
        {
            "name": "tf",
            "description": "",
            "disable": False,
            "duration": -1,
            "level": "project",
            "permissions": [
                {
                    "kind": "project",
                    "namespace": "secret",
                    "access": [{"resource": "repository", "action": "pull", "effect": ""}],
                }
            ],
        },
        {
            "name": "robot-secret+tf",
            "description": "for Terraform",
            "disable": True,
            "duration": -1,
            "level": "project",
            "editable": True,
            "permissions": [
                {
                    "kind": "project",
                    "namespace": "secret",
                    "access": [{"resource": "repository", "action": "push", "effect": ""}],
                }
            ],
        },
        {"level": "project", "disable": True, "expires_at": -1, "description": "for Terraform"},
    ),
]


def member(body: dict[str, Any], dotted: str) -> Any:
    for name in dotted.split("."):
        body = body[name]
    return body


@pytest.mark.parametrize("resource", RESOURCES, ids=[one.path for one in RESOURCES])
def test_a_resource_of_terraform_lives_from_creation_to_deletion(
    cast: Cast, resource: Resource
) -> None:
    """POST 201 with Location ending in a number, PUT 200, GET 200, DELETE 200, GET 404."""
    admin = cast["admin"]
    created = admin.post(resource.path, resource.create)
    assert created.status_code == 201, created.content
    assert LOCATION.fullmatch(created["Location"]), created["Location"]
    if resource.path == "/robots":
        assert {"id", "name", "secret", "creation_time", "expires_at"} == set(body_of(created))
        # The provider splits the full name at the project and a plus.
        assert body_of(created)["name"].split("secret+")[1] == "tf"
    else:
        assert created.content == b""
    where = created["Location"]
    assert admin.get(where).status_code == 200
    updated = admin.put(where, resource.update)
    assert (updated.status_code, updated.content) == (200, b""), updated.content
    read = body_of(admin.get(where))
    assert {name: member(read, name) for name in resource.read} == resource.read
    assert admin.post(resource.path, resource.create).status_code == (
        201 if resource.path == "/usergroups" else 409
    )
    deleted = admin.delete(where)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert admin.get(where).status_code == 404


def test_lists_are_read_until_an_empty_page(cast: Cast) -> None:
    """The provider counts pages up until it gets `[]`; a 404 would be an error."""
    admin = cast["admin"]
    seen, page = 0, 1
    while rows := rows_of(admin.get(f"/users?page={page}&page_size=3")):
        seen, page = seen + len(rows), page + 1
    assert seen == int(admin.get("/users")["X-Total-Count"]) > 3
    assert rows_of(admin.get("/registries?page=1&page_size=100")) == []


def test_quotas_are_read_with_a_trailing_slash(cast: Cast) -> None:
    """The provider finds a project's quota on `/quotas/?page=1&page_size=100`."""
    response = cast["admin"].get("/quotas/?page=1&page_size=100")
    (quota,) = [row for row in rows_of(response) if row["ref"]["id"] == cast.project.pk]
    assert quota["hard"] == {"storage": -1}
    updated = cast["admin"].put(f"/quotas/{quota['id']}", {"hard": {"storage": 5 << 30}})
    assert (updated.status_code, updated.content) == (200, b"")


def test_immutable_rules_are_found_in_their_list(cast: Cast) -> None:
    """There is no GET of one rule: the provider takes the id of Location and reads the list."""
    rule = {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
        },
    }
    path = f"/projects/{cast.project.pk}/immutabletagrules"
    created = cast["admin"].post(path, rule)
    assert (created.status_code, created.content) == (201, b"")
    number = int(created["Location"].rpartition("/")[2])
    (found,) = rows_of(cast["admin"].get(f"{path}?page=1&page_size=100"))
    assert found["id"] == number
    assert cast["admin"].put(f"{path}/{number}", {**rule, "disabled": True}).status_code == 200
    assert cast["admin"].delete(f"{path}/{number}").status_code == 200


def test_metadata_are_texts_under_a_path_with_its_slash(cast: Cast) -> None:
    path = "/projects/secret/metadatas/"
    assert body_of(cast["admin"].get(path))["public"] == "false"
    assert cast["admin"].post(path, {"auto_scan": "true"}).status_code == 200
    assert body_of(cast["admin"].get(f"{path}auto_scan")) == {"auto_scan": "true"}
    assert cast["admin"].delete(f"{path}auto_scan").status_code == 200


def test_slashes_in_names_come_encoded_twice(cast: Cast, tmp_path: Any) -> None:
    with override_settings(STORAGE_ROOT=tmp_path):
        default_driver.cache_clear()
        make_image(cast.project, "v1", path="team/app/x")
        default_driver.cache_clear()
    for name in ("team%252Fapp%252Fx", "team%2Fapp%2Fx", "team/app/x"):
        path = f"/projects/secret/repositories/{name}"
        assert body_of(cast["guest"].get(path))["name"] == "secret/team/app/x"
        (artifact,) = rows_of(cast["guest"].get(f"{path}/artifacts?with_tag=true"))
        assert artifact["tags"][0]["name"] == "v1"


def test_a_robot_logs_in_as_the_command_line_expects(cast: Cast) -> None:
    """`/users/current` must be 412 for robots; then projects and ping prove the credentials."""
    for name, status in (("owner", 200), ("project_robot", 412), ("anonymous", 401)):
        assert cast[name].get("/users/current").status_code == status
    robot = cast["project_robot"]
    assert robot.get("/projects?page=1&page_size=1").status_code == 200
    ping = robot.get("/ping")
    assert (ping.status_code, ping.content) == (200, b"Pong")
    wrong = Caller("wrong", basic("robot-secret+ci", "no"))
    assert wrong.get("/users/current").status_code == 401


def test_versions_are_those_that_clients_parse(cast: Cast) -> None:
    version = body_of(cast["guest"].get("/systeminfo"))["harbor_version"]
    assert re.match(r"v2\.\d+\.\d+(-|$)", version)
    assert body_of(cast["anonymous"].get("/api/version")) == {"version": "v2.0"}


def test_basic_credentials_need_no_csrf_token(cast: Cast) -> None:
    cast["admin"].client.cookies["sid"] = "left-over"
    response = cast["admin"].post("/projects", {"project_name": "plain"}, Origin="https://x.test")
    assert response.status_code == 201


LATER_REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/system/gc/schedule", {"schedule": {"type": "Manual"}, "parameters": {}}),
    ("PUT", "/system/gc/1", None),
    ("PUT", "/replication/executions/1", None),
    ("POST", "/replication/executions", {"policy_id": 1}),
    ("PATCH", "/retentions/1/executions/1", {"action": "stop"}),
    ("POST", "/projects/secret/preheat/policies/p", None),
    ("PATCH", "/projects/secret/preheat/policies/p/executions/1", {"status": "Stopped"}),
    ("PATCH", "/scanners/1", {"is_default": True}),
    ("PUT", "/system/scanAll/schedule", {"schedule": {"type": "Daily", "cron": "0 0 0 * * *"}}),
    ("POST", "/system/purgeaudit/schedule", {"schedule": {"type": "None"}, "parameters": {}}),
    ("POST", "/p2p/preheat/instances", {"name": "p2p", "vendor": "dragonfly"}),
    ("PUT", "/jobservice/queues/all", {"action": "pause"}),
]


@pytest.mark.parametrize(("method", "path", "body"), LATER_REQUESTS)
def test_actions_of_later_features_say_so(cast: Cast, method: str, path: str, body: Any) -> None:
    response = cast["admin"].call(method, path, body)
    assert response.status_code == 501
    (error,) = errors_of(response)
    assert error["code"] == "NOT_IMPLEMENTED"
    assert error["message"].endswith("is not part of this version.")


def test_times_that_have_not_come_are_year_one(cast: Cast) -> None:
    schedule = body_of(cast["admin"].get("/system/purgeaudit/schedule"))
    assert schedule["update_time"] == "0001-01-01T00:00:00.000Z"
