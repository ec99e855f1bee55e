"""Every route of the management API with every kind of caller: one table of statuses."""

from typing import Any
from urllib.parse import quote

import pytest
from django.urls import get_resolver

from core.oci.digest import Digest
from tests.core.api.cast import ACTORS, BASE, errors_of, undone
from tests.core.api.stage import Stage, management_routes
from tests.core.later.cases import CASES as LATER
from tests.factories.artifacts import image_document
from tests.factories.users import PASSWORD

pytestmark = pytest.mark.django_db

REPOSITORY = "/projects/secret/repositories/team%252Fapp"
ARTIFACT = f"{REPOSITORY}/artifacts/v1"
ROBOT = {
    "name": "other",
    "level": "project",
    "permissions": [
        {
            "kind": "project",
            "namespace": "secret",
            "access": [{"resource": "repository", "action": "pull"}],
        }
    ],
}
SYSTEM_ROBOT = {
    "name": "other",
    "level": "system",
    "permissions": [
        {
            "kind": "system",
            "namespace": "/",
            "access": [{"resource": "user", "action": "list"}],
        }
    ],
}

# Statuses in the order of ACTORS: admin, owner, maintainer, developer, guest, limited guest,
# outsider, anonymous, robot of the project, robot of the system.
EVERYONE = "200 200 200 200 200 200 200 200 200 200"
SIGNED_IN = "200 200 200 200 200 200 200 401 200 200"
USERS_ONLY = "200 200 200 200 200 200 200 401 412 412"
MEMBERS = "200 200 200 200 200 200 403 401 200 200"
MEMBERS_NO_ROBOTS = "200 200 200 200 200 200 403 401 403 403"
GUESTS = "200 200 200 200 200 403 403 401 403 403"
DEVELOPERS = "200 200 200 200 403 403 403 401 403 403"
MAINTAINERS = "200 200 200 403 403 403 403 401 403 403"
OWNER = "200 200 403 403 403 403 403 401 403 403"
ADMIN = "200 403 403 403 403 403 403 401 403 403"
SYSTEM = "200 403 403 403 403 403 403 401 403 200"
SELF = "200 403 403 403 403 403 200 401 403 200"
SELF_NO_ROBOTS = "200 403 403 403 403 403 200 401 403 403"
NOWHERE = "404 404 404 404 404 404 404 404 404 404"


def hidden_from_system_robots(statuses: str) -> str:
    """Replace the last: it may look for robots of the system, and finds none of a project."""
    return statuses.rpartition(" ")[0] + " 404"


CASES: list[tuple[str, str, Any, str]] = [
    # the installation
    ("GET", "/ping", None, EVERYONE),
    ("GET", "/health", None, EVERYONE),
    ("GET", "/systeminfo", None, EVERYONE),
    ("GET", "/systeminfo/volumes", None, SYSTEM),
    ("GET", "/systeminfo/getcert", None, NOWHERE),
    ("GET", "/statistics", None, SIGNED_IN),
    ("GET", "/search?q=secret", None, EVERYONE),
    ("GET", "/openapi.json", None, EVERYONE),
    ("GET", "/api/version", None, EVERYONE),
    ("GET", "/permissions", None, SIGNED_IN),
    ("GET", "/configurations", None, ADMIN),
    ("PUT", "/configurations", {"banner_message": "Hello", "read_only": False}, ADMIN),
    ("GET", "/nowhere", None, NOWHERE),
    ("POST", "/projects/secret/nowhere", {}, NOWHERE),
    # people
    ("GET", "/users", None, SYSTEM),
    ("POST", "/users", {"username": "new", "password": PASSWORD}, SYSTEM.replace("200", "201")),
    ("GET", "/users/current", None, USERS_ONLY),
    ("GET", "/users/search?username=out", None, SIGNED_IN),
    ("GET", "/users/{outsider}", None, SELF),
    ("PUT", "/users/{outsider}", {"realname": "O"}, SELF),
    ("DELETE", "/users/{outsider}", None, SYSTEM),
    ("PUT", "/users/{outsider}/sysadmin", {"sysadmin_flag": True}, ADMIN),
    (
        "PUT",
        "/users/{outsider}/password",
        {"old_password": PASSWORD, "new_password": "Other-horse-2"},
        SELF_NO_ROBOTS,
    ),
    ("PUT", "/users/{outsider}/cli_secret", {"secret": "x"}, SELF.replace("200", "501")),
    ("GET", "/users/current/permissions", None, SIGNED_IN),
    ("GET", "/users/current/tokens", None, USERS_ONLY),
    (
        "POST",
        "/users/current/tokens",
        {"name": "t", "scopes": ["management:read"]},
        USERS_ONLY.replace("200", "201"),
    ),
    ("GET", "/users/current/tokens/999", None, USERS_ONLY.replace("200", "404")),
    ("DELETE", "/users/current/tokens/999", None, USERS_ONLY.replace("200", "404")),
    # sessions
    ("GET", "/users/current/sessions", None, USERS_ONLY),
    ("DELETE", "/users/current/sessions", None, USERS_ONLY),
    ("GET", "/users/current/sessions/999", None, USERS_ONLY.replace("200", "404")),
    ("DELETE", "/users/current/sessions/999", None, USERS_ONLY.replace("200", "404")),
    ("GET", "/users/{outsider}/sessions", None, SELF_NO_ROBOTS),
    ("DELETE", "/users/{outsider}/sessions", None, SELF_NO_ROBOTS),
    ("GET", "/users/{outsider}/sessions/{session}", None, SELF_NO_ROBOTS),
    ("DELETE", "/users/{outsider}/sessions/{session}", None, SELF_NO_ROBOTS),
    ("POST", "/c/login", None, EVERYONE.replace("200", "422")),
    ("GET", "/c/log_out", None, EVERYONE),
    # groups
    ("GET", "/usergroups", None, SYSTEM),
    ("POST", "/usergroups", {"group_name": "new"}, SYSTEM.replace("200", "201")),
    ("GET", "/usergroups/search?groupname=te", None, SIGNED_IN),
    ("GET", "/usergroups/{group}", None, SYSTEM),
    ("PUT", "/usergroups/{group}", {"group_name": "renamed"}, SYSTEM),
    ("DELETE", "/usergroups/{group}", None, SYSTEM),
    ("GET", "/usergroups/{group}/users", None, SYSTEM),
    ("POST", "/usergroups/{group}/users", {"user_id": "{guest}"}, SYSTEM.replace("200", "201")),
    ("DELETE", "/usergroups/{group}/users/{outsider}", None, SYSTEM),
    # projects
    ("GET", "/projects", None, EVERYONE),
    (
        "HEAD",
        "/projects?project_name=secret",
        None,
        "200 200 200 200 200 200 404 401 200 200",
    ),
    (
        "POST",
        "/projects",
        {"project_name": "new"},
        "201 201 201 201 201 201 201 401 403 201",
    ),
    ("GET", "/projects/secret", None, MEMBERS),
    ("GET", "/projects/{project}", None, MEMBERS),
    ("PUT", "/projects/secret", {"metadata": {"public": "true"}}, OWNER),
    ("GET", "/projects/secret/metadatas/", None, MAINTAINERS),
    ("POST", "/projects/secret/metadatas/", {"auto_scan": "true"}, OWNER),
    ("GET", "/projects/secret/metadatas", None, MAINTAINERS),
    ("POST", "/projects/secret/metadatas", {"auto_scan": "true"}, OWNER),
    ("GET", "/projects/secret/metadatas/public", None, MAINTAINERS),
    ("PUT", "/projects/secret/metadatas/public", {"public": "true"}, OWNER),
    ("DELETE", "/projects/secret/metadatas/reuse_sys_cve_allowlist", None, OWNER),
    ("GET", "/system/CVEAllowlist", None, SIGNED_IN),
    ("PUT", "/system/CVEAllowlist", {"items": [{"cve_id": "CVE-2026-1"}], "expires_at": 1}, ADMIN),
    ("DELETE", "/projects/secret", None, OWNER.replace("200", "412")),
    ("GET", "/projects/secret/_deletable", None, OWNER),
    ("GET", "/projects/secret/summary", None, MEMBERS),
    ("GET", "/projects/secret/auditlog-exts", None, OWNER),
    ("GET", "/projects/secret/logs", None, OWNER),
    ("GET", "/auditlog-exts", None, SIGNED_IN),
    ("GET", "/auditlog-exts/events", None, SIGNED_IN),
    ("GET", "/audit-logs", None, SIGNED_IN),
    # what does not exist looks like what is hidden, except for administrators
    ("GET", "/projects/missing", None, "404 403 403 403 403 403 403 401 403 403"),
    ("DELETE", "/projects/999999", None, "404 403 403 403 403 403 403 401 403 403"),
    ("GET", "/projects/missing/repositories", None, "404 403 403 403 403 403 403 401 403 403"),
    ("GET", "/robots/999999", None, "404 403 403 403 403 403 403 401 403 404"),
    # quotas and storage
    ("GET", "/quotas", None, SYSTEM),
    ("GET", "/quotas/{quota}", None, SYSTEM),
    ("PUT", "/quotas/{quota}", {"hard": {"storage": 10_000}}, SYSTEM),
    ("GET", "/quotas/999999", None, SYSTEM.replace("200", "404")),
    ("GET", "/storage", None, SYSTEM),
    ("GET", "/projects/secret/storage", None, MEMBERS_NO_ROBOTS),
    ("GET", "/projects/missing/storage", None, "404 403 403 403 403 403 403 401 403 403"),
    # members and roles
    ("GET", "/projects/secret/members", None, GUESTS),
    (
        "POST",
        "/projects/secret/members",
        {"role_id": 3, "member_user": {"username": "outsider"}},
        OWNER.replace("200", "201"),
    ),
    ("GET", "/projects/secret/members/{member}", None, GUESTS),
    ("PUT", "/projects/secret/members/{member}", {"role_id": 2}, OWNER),
    ("DELETE", "/projects/secret/members/{member}", None, OWNER),
    ("GET", "/roles", None, SIGNED_IN),
    (
        "POST",
        "/roles",
        {"name": "puller", "permissions": ["repository:pull"]},
        ADMIN.replace("200", "201"),
    ),
    ("GET", "/roles/1", None, SIGNED_IN),
    ("PUT", "/roles/{role}", {"description": "changed"}, ADMIN),
    ("DELETE", "/roles/{role}", None, ADMIN),
    # immutable tags
    ("GET", "/projects/secret/immutabletagrules", None, MAINTAINERS),
    (
        "POST",
        "/projects/secret/immutabletagrules",
        {
            "disabled": False,
            "action": "immutable",
            "template": "immutable_template",
            "tag_selectors": [{"decoration": "matches", "pattern": "v*"}],
            "scope_selectors": {"repository": [{"decoration": "repoMatches", "pattern": "**"}]},
        },
        MAINTAINERS.replace("200", "201"),
    ),
    (
        "PUT",
        "/projects/secret/immutabletagrules/{rule}",
        {
            "disabled": True,
            "tag_selectors": [{"decoration": "matches", "pattern": "v*"}],
            "scope_selectors": {"repository": [{"decoration": "repoMatches", "pattern": "x"}]},
        },
        MAINTAINERS,
    ),
    ("DELETE", "/projects/secret/immutabletagrules/{rule}", None, MAINTAINERS),
    # labels
    ("GET", "/labels", None, SIGNED_IN),
    ("GET", "/labels?scope=p&project_id={project}", None, GUESTS),
    ("POST", "/labels", {"name": "new", "scope": "g"}, SYSTEM.replace("200", "201")),
    (
        "POST",
        "/labels",
        {"name": "new", "color": "#00ff00", "scope": "p", "project_id": "{project}"},
        MAINTAINERS.replace("200", "201"),
    ),
    ("GET", "/labels/{label}", None, hidden_from_system_robots(GUESTS)),
    ("PUT", "/labels/{label}", {"name": "new"}, hidden_from_system_robots(MAINTAINERS)),
    ("DELETE", "/labels/{label}", None, hidden_from_system_robots(MAINTAINERS)),
    ("GET", "/labels/{global_label}", None, SIGNED_IN),
    ("PUT", "/labels/{global_label}", {"name": "new"}, SYSTEM),
    ("DELETE", "/labels/{global_label}", None, SYSTEM),
    ("GET", "/labels/999999", None, "404 403 403 403 403 403 403 401 403 404"),
    # robots
    ("GET", "/robots", None, SYSTEM),
    ("GET", "/robots?q=Level%3Dproject%2CProjectID%3D{project}", None, GUESTS),
    ("POST", "/robots", ROBOT, OWNER.replace("200", "201")),
    ("POST", "/robots", SYSTEM_ROBOT, SYSTEM.replace("200", "201")),
    ("GET", "/robots/{robot}", None, hidden_from_system_robots(GUESTS)),
    ("PUT", "/robots/{robot}", {"description": "changed"}, OWNER),
    ("PATCH", "/robots/{robot}", {"secret": ""}, OWNER),
    ("DELETE", "/robots/{robot}", None, hidden_from_system_robots(OWNER)),
    ("GET", "/robots/{system_robot}", None, SYSTEM),
    ("DELETE", "/robots/{system_robot}", None, SYSTEM),
    # repositories
    ("GET", "/repositories", None, EVERYONE),
    ("GET", "/projects/secret/repositories", None, MEMBERS),
    ("GET", REPOSITORY, None, MEMBERS),
    ("PUT", REPOSITORY, {"description": "changed"}, DEVELOPERS),
    ("DELETE", REPOSITORY, None, MAINTAINERS),
    ("GET", f"{REPOSITORY}/tags/v1/history", None, MEMBERS),
    (
        "POST",
        f"{REPOSITORY}/tags/v1/restore",
        {"digest": str(Digest.of(image_document(layers=[b"layer"])))},
        "200 200 200 200 403 403 403 401 200 200",
    ),
    ("PUT", f"{REPOSITORY}/tags/v1/expiry", {"expires_after": "2w"}, MAINTAINERS),
    ("POST", "/projects/secret/rename", {"project_name": "renamed"}, OWNER),
    (
        "POST",
        f"{REPOSITORY}/transfer",
        {"project": "secret", "repository": "moved"},
        MAINTAINERS,
    ),
    ("GET", f"{REPOSITORY}/redirects", None, MEMBERS),
    ("DELETE", f"{REPOSITORY}/redirects", None, MAINTAINERS),
    # the trash
    ("GET", "/projects/secret/trash", None, MAINTAINERS),
    ("DELETE", "/projects/secret/trash", None, OWNER),
    ("GET", "/projects/secret/trash/{entry}", None, MAINTAINERS),
    ("DELETE", "/projects/secret/trash/{entry}", None, OWNER),
    ("POST", "/projects/secret/trash/{entry}/restore", {}, MAINTAINERS),
    # artifacts
    ("GET", f"{REPOSITORY}/artifacts", None, MEMBERS),
    ("GET", "/projects/secret/artifacts", None, MEMBERS),
    (
        "POST",
        f"{REPOSITORY}-copy/artifacts?from=secret%2Fteam%2Fapp%3Av1",
        None,
        "201 201 201 201 403 403 403 401 403 403",
    ),
    (
        "POST",
        f"{REPOSITORY}/artifacts/bulk",
        {"action": "untag", "tags": ["v1"], "dry_run": True},
        "200 200 200 403 403 403 403 401 403 403",
    ),
    ("GET", f"{REPOSITORY}/artifacts/bulk", None, MEMBERS.replace("200", "404")),
    ("DELETE", f"{REPOSITORY}/artifacts/bulk", None, MAINTAINERS.replace("200", "404")),
    ("GET", f"{ARTIFACT}/additions/build_history", None, MEMBERS_NO_ROBOTS),
    ("GET", f"{ARTIFACT}/additions/vulnerabilities", None, MEMBERS_NO_ROBOTS),
    ("GET", f"/icons/sha256:{'0' * 64}", None, NOWHERE),
    ("GET", f"{REPOSITORY}/usage", None, MEMBERS),
    ("GET", "/projects/secret/usage", None, MEMBERS),
    ("GET", ARTIFACT, None, MEMBERS),
    ("DELETE", ARTIFACT, None, MAINTAINERS),
    ("GET", f"{ARTIFACT}/tags", None, MEMBERS),
    ("POST", f"{ARTIFACT}/tags", {"name": "v2"}, "201 201 201 201 403 403 403 401 201 201"),
    ("DELETE", f"{ARTIFACT}/tags/v1", None, MAINTAINERS),
    ("POST", f"{ARTIFACT}/labels", {"id": "{global_label}"}, DEVELOPERS),
    ("DELETE", f"{ARTIFACT}/labels/{{label}}", None, DEVELOPERS),
    ("GET", f"{ARTIFACT}/accessories", None, MEMBERS_NO_ROBOTS),
    # grants and explanations
    ("GET", f"{REPOSITORY}/grants", None, GUESTS),
    (
        "POST",
        f"{REPOSITORY}/grants",
        {"username": "guest", "right": "push"},
        OWNER.replace("200", "201"),
    ),
    ("DELETE", f"{REPOSITORY}/grants/u-{{limited}}-pull", None, OWNER),
    ("GET", "/explain?permission=project%3Aread&project=secret", None, SIGNED_IN),
    (
        "GET",
        "/explain?permission=tag%3Alist&project=secret&user=guest",
        None,
        "200 200 403 403 200 403 403 401 403 403",
    ),
    *LATER,
]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES]
)
def test_each_caller_gets_the_expected_status(
    stage: Stage, method: str, path: str, body: Any, expected: str
) -> None:
    found = []
    for actor in ACTORS:
        with undone():
            response = stage.cast[actor].call(method, stage.path(path), stage.body(body))
        found.append(str(response.status_code))
    assert dict(zip(ACTORS, found, strict=True)) == dict(zip(ACTORS, expected.split(), strict=True))


WRITES = [case[:3] for case in CASES if isinstance(case[2], dict) and case[2]]
STRANGE: list[Any] = [
    None,
    True,
    -1,
    10**40,
    1.5,
    "",
    " ",
    "\u2028\U0001f433",
    "%",
    "x" * 100_000,
    [],
    [[]],
    {},
    {"x": [None]},
]


@pytest.mark.parametrize(
    ("method", "path", "body"), WRITES, ids=[f"{case[0]} {case[1]}" for case in WRITES]
)
def test_strange_values_are_never_a_defect(
    stage: Stage, method: str, path: str, body: dict[str, Any]
) -> None:
    bodies = [*STRANGE, *({**body, key: value} for key in body for value in STRANGE)]
    for strange in bodies:
        with undone():
            response = stage.cast["admin"].call(method, stage.path(path), stage.body(strange))
        assert response.status_code in (200, 201, 400, 403, 404, 409, 412, 422, 501), strange
        if response.status_code >= 400:
            assert errors_of(response)


def test_the_table_has_every_route_and_method() -> None:
    covered = set()
    for method, path, _body, _expected in CASES:
        full = path if path.startswith(("/api", "/c/")) else BASE + path
        plain = full.partition("?")[0].replace("%252F", "%2F")
        match = get_resolver().resolve(_with_numbers(plain))
        covered.add((match.route, method))
    missing = sorted(
        f"{method} {route}"
        for route, view in management_routes(get_resolver().url_patterns)
        for method in view.access
        if (route, method) not in covered and not route.startswith("api/<path:")
    )
    assert missing == []


def _with_numbers(path: str) -> str:
    for segment in path.split("/"):
        if segment.startswith("{"):
            path = path.replace(segment, "1")
    return quote(path.replace("{limited}", "1"), safe="/%-_.")
