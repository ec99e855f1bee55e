"""What goharbor's Terraform provider sends, and what it takes from the answers.

The requests are its own: paths with their encoding, trailing slashes and unquoted filters, bodies
with every member that it always sends and without those that it leaves out when they are zero. Ids
are what `Location` holds behind the base of the API; updates and deletes must be 200 to the digit.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core.api.fields import NEVER
from core.robots.models import Robot
from core.users.models import User
from tests.core.api.cast import Cast, basic, body_of, errors_of, rows_of
from tests.core.api.terraform import (
    FRESH,
    LATER,
    RESOURCES,
    RETENTION,
    SYSTEM,
    USER,
    project_body,
    robot_body,
    rule_body,
)
from tests.factories.artifacts import make_image, storage_in
from tests.factories.members import make_group

LOCATION = re.compile(r"/api/v2\.0(/(?:[^/]+/)+\d+)")
OTHER_PASSWORD = "Other-horse-2"


def filled(template: Any, cast: Cast) -> Any:
    """Return it with the id of the project in its place."""
    if isinstance(template, dict):
        return {key: filled(value, cast) for key, value in template.items()}
    if isinstance(template, str):
        if template == "{project}":
            return cast.project.pk
        return template.replace("{project}", str(cast.project.pk))
    return template


def member(body: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        body = body[int(name) if name.isdigit() else name]
    return body


def created(cast: Cast, path: str, body: dict[str, Any]) -> tuple[str, bytes]:
    """Create something; return its path as the provider keeps it, and the answer's body."""
    response = cast["admin"].post(path, body)
    assert response.status_code == 201, response.content
    where = LOCATION.fullmatch(response["Location"])
    assert where is not None, response["Location"]
    return where[1], response.content


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_lives_from_creation_to_deletion(cast: Cast, name: str) -> None:
    admin, resource = cast["admin"], RESOURCES[name]
    if name == "project_member_group":
        make_group("builders")
    path, create = filled(resource.path, cast), filled(resource.create, cast)
    where, content = created(cast, path, create)
    if path == "/robots":
        assert set(json.loads(content)) == {"id", "name", "secret", "creation_time", "expires_at"}
    else:
        assert content == b""
    for update in resource.updates:
        updated = admin.put(where, filled(update, cast))
        assert (updated.status_code, updated.content) == (200, b""), updated.content
    read = body_of(admin.get(where))
    expected = {key: filled(value, cast) for key, value in resource.read.items()}
    assert {key: member(read, key) for key in expected} == expected
    assert not set(resource.absent) & set(read)
    if path == "/robots":
        # Its own name is what stands behind the project and a plus, or behind the prefix.
        own = "secret+tf" if read["level"] == "project" else "tf"
        assert read["name"].removeprefix("robot-") == own
        assert not Robot.objects.get(name="tf").is_disabled
    assert admin.post(path, create).status_code == resource.again
    deleted = admin.delete(where)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert admin.get(where).status_code == 404


def test_a_user(cast: Cast) -> None:
    """One body for everything; a flag that is false is left out of it."""
    admin = cast["admin"]
    where, _ = created(cast, "/users", {**USER, "email": "carol@example.org"})
    changed = {**USER, "realname": "Carol C.", "email": "c@example.org", "sysadmin_flag": True}
    for body, is_admin in ((changed, True), ({**USER, "email": "c@example.org"}, False)):
        assert admin.put(where, body).status_code == 200
        assert admin.put(f"{where}/sysadmin", body).status_code == 200
        read = body_of(admin.get(where))
        assert (read["username"], read["realname"]) == ("carol", body["realname"])
        assert (read["email"], read["sysadmin_flag"]) == ("c@example.org", is_admin)
    body = {**USER, "password": OTHER_PASSWORD, "new_password": OTHER_PASSWORD}
    assert admin.put(f"{where}/password", body).status_code == 200
    carol = type(admin)("carol", basic("carol", OTHER_PASSWORD))
    assert carol.get("/users/current").status_code == 200
    assert admin.delete(where).status_code == 200
    assert admin.get(where).status_code == 404


def test_a_robot_account_with_a_secret_of_its_own(cast: Cast) -> None:
    """It follows a creation or an update; where none is set, what the creation shows is kept."""
    admin = cast["admin"]
    where, content = created(cast, "/robots", robot_body())
    made = json.loads(content)

    def works(secret: str) -> bool:
        robot = type(admin)("tf", basic(made["name"], secret))
        status = robot.get("/users/current").status_code
        assert status in (401, 412)
        return status == 412

    assert works(made["secret"])
    for secret in ("Chosen-Secret-123", "Other-Secret-123"):
        update = robot_body(name=made["name"], description="for Terraform")
        assert admin.put(where, update).status_code == 200
        assert admin.patch(where, {"secret": secret}).status_code == 200
        assert works(secret)
        assert "secret" not in body_of(admin.get(where))
    assert [works(secret) for secret in (made["secret"], "Chosen-Secret-123")] == [False, False]
    weak = admin.patch(where, {"secret": "too weak"})
    assert weak.status_code == 400
    assert "secret" in errors_of(weak)[0]["message"]
    assert works("Other-Secret-123")
    # Taken out of the resource again.
    renewed = admin.patch(where, {"secret": ""})
    assert renewed.status_code == 200
    assert works(body_of(renewed)["secret"])


def test_a_project_with_its_own_allowlist_quota_and_content(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    admin = cast["admin"]
    body = project_body(
        "main", reuse_sys_cve_allowlist="false", severity="high", prevent_vul="true"
    )
    body["cve_allowlist"] = {"items": [{"cve_id": "CVE-2026-1"}, {"cve_id": "CVE-2026-2"}]}
    where, _ = created(cast, "/projects", {**body, "storage_limit": 5 << 30})
    assert admin.put(where, body).status_code == 200
    read = body_of(admin.get(where))
    assert [item["cve_id"] for item in read["cve_allowlist"]["items"]] == [
        "CVE-2026-1",
        "CVE-2026-2",
    ]
    assert (read["metadata"]["severity"], read["metadata"]["prevent_vul"]) == ("high", "true")
    assert body_of(admin.get("/configurations"))["quota_per_project_enable"]["value"] is True
    quotas, page = [], 1
    while rows := rows_of(admin.get(f"/quotas/?page={page}&page_size=100")):
        quotas, page = [*quotas, *rows], page + 1
    (quota,) = [row for row in quotas if f"/projects/{row['ref']['id']}" == where]
    assert quota["hard"] == {"storage": 5 << 30}
    updated = admin.put(f"/quotas/{quota['id']}", {"hard": {"storage": 6 << 30}})
    assert (updated.status_code, updated.content) == (200, b"")
    # Deleted with all that is in it: names of repositories lose the project, slashes are `%252F`.
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1", path="team/app/x")
        (row,) = rows_of(admin.get("/projects/secret/repositories?page=1&page_size=100"))
        path = row["name"].removeprefix("secret/").replace("/", "%252F")
        assert admin.delete(f"/projects/secret/repositories/{path}").status_code == 200
    assert rows_of(admin.get("/projects/secret/repositories?page=1&page_size=100")) == []
    for path in (where, f"/projects/{cast.project.pk}"):
        assert admin.delete(path).status_code == 200
    assert admin.delete(where).status_code == 404


def test_an_immutable_rule_is_found_in_the_list(cast: Cast) -> None:
    """There is no GET of one rule: pages of 15 are read until one is not full."""
    path = f"/projects/{cast.project.pk}/immutabletagrules"
    where, content = created(cast, path, rule_body())
    assert content == b""
    number = int(where.rpartition("/")[2])
    excluding = [{"kind": "doublestar", "decoration": "excludes", "pattern": "dev-*"}]
    for body in (
        rule_body(id=number, disabled=True),
        rule_body(id=number, tag_selectors=excluding),
    ):
        assert cast["admin"].put(where, body).status_code == 200
    (found,) = rows_of(cast["admin"].get(f"{path}?page=1&page_size=15"))
    assert (found["id"], found["disabled"]) == (number, False)
    assert found["tag_selectors"][0]["decoration"] == "excludes"
    assert found["scope_selectors"]["repository"][0]["pattern"] == "**"
    assert cast["admin"].delete(where).status_code == 200


def test_the_configuration_of_the_system(cast: Cast) -> None:
    """`config_system` sends all of it each time, and reads every value back."""
    admin = cast["admin"]
    updated = admin.put("/configurations", SYSTEM)
    assert (updated.status_code, updated.content) == (200, b""), updated.content
    read = body_of(admin.get("/configurations"))
    assert {key: read[key]["value"] for key in SYSTEM} == SYSTEM
    # Names of robots are cut at what it reads here.
    where, _ = created(cast, "/robots", robot_body())
    assert body_of(admin.get(where))["name"] == "robot$secret+tf"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (
            {"auth_mode": "oidc_auth", "oidc_name": "id", "oidc_endpoint": "https://id.test"},
            "auth_mode",
        ),
        ({"auth_mode": "ldap_auth", "ldap_url": "ldaps://ldap.test"}, "auth_mode"),
        ({"disabled_audit_log_event_types": "pull_artifact"}, "disabled_audit_log_event_types"),
    ],
)
def test_a_configuration_without_its_feature_is_refused_by_name(
    cast: Cast, body: dict[str, Any], key: str
) -> None:
    """`config_auth` is for logins that come later; nothing of it is taken for done."""
    always = {"self_registration": True, "oidc_verify_cert": True, "ldap_scope": 2}
    response = cast["admin"].put("/configurations", {**always, **body})
    assert response.status_code == 400
    assert key in errors_of(response)[0]["message"]
    assert body_of(cast["admin"].get("/configurations"))["self_registration"]["value"] is False


def test_the_allowlist_of_the_system(cast: Cast) -> None:
    """`config_security` replaces it as a whole, and empties it with nothing at all."""
    admin, path = cast["admin"], "/system/CVEAllowlist"
    items = [{"cve_id": "CVE-2026-1"}, {"cve_id": "CVE-2026-2"}]
    for body in ({"items": items, "expires_at": 1_900_000_000}, {"items": items[:1]}, {}):
        updated = admin.put(path, body)
        assert (updated.status_code, updated.content) == (200, b""), updated.content
        read = body_of(admin.get(path))
        assert (read["items"], read.get("expires_at")) == (
            body.get("items", []),
            body.get("expires_at"),
        )
        assert {"creation_time", "update_time"} <= set(read)


def test_resources_that_come_later_fail_and_say_why(cast: Cast) -> None:
    admin = cast["admin"]
    for path, expected in FRESH.items():
        found = json.loads(admin.get(filled(path, cast)).content)
        assert (found["schedule"] if "schedule" in path else found) == expected, path
        if "schedule" in path:
            assert (found["creation_time"], found["update_time"]) == (NEVER, NEVER)
    for request, body in LATER:
        method, path = request.split()
        response = admin.call(method, filled(path, cast), filled(body, cast))
        assert response.status_code == 501, request
        (error,) = errors_of(response)
        assert error["code"] == "NOT_IMPLEMENTED"
        assert error["message"].endswith("is not part of this version."), request
    # When the creation of a retention fails, it looks for one to change, and finds none.
    assert "retention_id" not in body_of(admin.get(f"/projects/{cast.project.pk}"))["metadata"]
    assert admin.put("/retentions/", filled(RETENTION, cast)).status_code == 405


def test_data_sources_read_until_a_page_is_empty(cast: Cast) -> None:
    admin = cast["admin"]
    make_group("team", cast.users["outsider"])
    User.objects.filter(username="outsider").update(email="o@example.org")
    project = cast.project.pk

    def read(path: str, filters: str = "") -> list[Any]:
        found, page = [], 1
        while rows := rows_of(admin.get(f"{path}?page={page}{filters}")):
            found, page = [*found, *rows], page + 1
        return found

    assert [row["name"] for row in read("/projects")] == ["secret"]
    assert [row["group_name"] for row in read("/usergroups")] == ["team"]
    members = read(f"/projects/{project}/members")
    assert {row["role_name"] for row in members} >= {"projectAdmin", "maintainer", "guest"}
    assert len(read("/users")) == len(cast.users)
    for email, expected in (("o@example.org", ["outsider"]), ("other@example.org", [])):
        filters = f"&q=username=outsider,email={email}"
        assert [row["username"] for row in read("/users", filters)] == expected
    of_project = read("/robots", f"&q=Level=project,ProjectID={project}")
    assert [row["name"] for row in of_project] == ["robot-secret+ci"]
    assert [row["name"] for row in read("/robots", "&q=Level=system")] == ["robot-sys"]
    (found,) = rows_of(admin.get("/projects?name=secret"))
    assert (found["name"], found["project_id"]) == ("secret", project)
    assert body_of(admin.get(f"/projects/{project}/scanner")) == {}
