"""What Harbor's command line sends, and what it takes for an answer.

It is made of a generated client, to which any other status than those it knows is a failure. Lists
have all their parameters, empty ones too; zero times come along in bodies, and what is empty, zero
or false is left out of them unless it must be there.
"""

import re
from pathlib import Path
from typing import Any

from pytest_django.fixtures import Settings

from core.api.fields import NEVER
from tests.core.api.cast import Caller, Cast, basic, body_of, errors_of, rows_of, undone
from tests.core.api.stage import Stage
from tests.factories.artifacts import make_image, storage_in
from tests.factories.users import PASSWORD

PAGE = "page=1&page_size=10"
ALL = "page=0&page_size=0&q=&sort="
"""What prompts send for which somebody chooses from a list."""

REPOSITORY = "/projects/secret/repositories/team%2Fapp"
ARTIFACT = f"{REPOSITORY}/artifacts/v1"
HOOKS = "/projects/secret/webhook/policies"
PREHEAT = "/projects/secret/preheat/policies"
RULES = "/projects/secret/immutabletagrules"
TIMES = {"creation_time": NEVER, "update_time": NEVER}
ACCESS = [{"action": "pull", "resource": "repository"}]
PERMISSIONS = [{"access": ACCESS, "kind": "project", "namespace": "secret"}]
SELECTORS = {
    "tag_selectors": [{"decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {"repository": [{"decoration": "repoMatches", "pattern": "**"}]},
}

# Each as method, path and status, with the body where there is one.
OPERATIONS: list[tuple[str, Any]] = [
    # what is in repositories
    (f"GET {REPOSITORY}/artifacts?{PAGE}&q=&sort= 200", None),
    (f"GET {REPOSITORY}/artifacts?{ALL} 200", None),
    (f"GET {ARTIFACT}?with_label=true 200", None),
    (f"DELETE {ARTIFACT} 200", None),
    (f"POST {ARTIFACT}/labels 200", {"id": "{global_label}", "name": "approved", **TIMES}),
    (f"DELETE {ARTIFACT}/labels/{{label}} 200", None),
    (f"GET {ARTIFACT}/tags 200", None),
    (
        f"POST {ARTIFACT}/tags 201",
        {"immutable": False, "name": "v2", "pull_time": NEVER, "push_time": NEVER},
    ),
    (f"DELETE {ARTIFACT}/tags/v1 200", None),
    (f"GET /projects/secret/repositories?{PAGE}&q=&sort= 200", None),
    (f"GET /projects/secret/repositories?{ALL} 200", None),
    (f"GET {REPOSITORY} 200", None),
    (
        f"PUT {REPOSITORY} 200",
        {"artifact_count": 1, "description": "Ours", "pull_count": 0, "update_time": NEVER},
    ),
    (f"DELETE {REPOSITORY} 200", None),
    ("GET /search?q=secret 200", None),
    # projects and who is in them
    ("GET /projects?name=&page=0&page_size=0&q=&sort= 200", None),
    ("GET /projects?name=&page=1&page_size=100&public=false&q=&sort= 200", None),
    (
        "POST /projects 201",
        {
            "metadata": {"public": "false"},
            "project_name": "new",
            "public": False,
            "registry_id": None,
            "storage_limit": -1,
        },
    ),
    ("GET /projects/secret 200", None),
    ("GET /projects/{project} 200", None),
    ("GET /projects/secret/summary 200", None),
    ("PUT /projects/secret 200", {"metadata": {"auto_scan": "true", "public": "true"}}),
    ("DELETE /projects/secret 412", None),
    (f"GET /projects/secret/auditlog-exts?{PAGE}&q=&sort= 200", None),
    ("GET /projects/secret/metadatas/ 200", None),
    (f"GET /projects/secret/members?entityname=&{PAGE} 200", None),
    ("GET /projects/secret/members?entityname=guest 200", None),
    (
        "POST /projects/secret/members 201",
        {"member_group": {}, "member_user": {"username": "outsider"}, "role_id": 3},
    ),
    ("GET /projects/secret/members/{member} 200", None),
    ("PUT /projects/secret/members/{member} 200", {"role_id": 2}),
    ("DELETE /projects/secret/members/{member} 200", None),
    (f"GET {RULES} 200", None),
    (f"POST {RULES} 201", SELECTORS),
    (f"DELETE {RULES}/{{rule}} 200", None),
    (f"GET /labels?{PAGE}&project_id=0&q=&scope=g&sort= 200", None),
    (f"GET /labels?{PAGE}&project_id={{project}}&q=&scope=p&sort= 200", None),
    ("POST /labels 201", {"color": "#FFFFFF", "name": "new", "scope": "g", **TIMES}),
    ("GET /labels/{label} 200", None),
    (
        "PUT /labels/{global_label} 200",
        {"color": "#000000", "id": "{global_label}", "name": "new", "scope": "g", **TIMES},
    ),
    ("DELETE /labels/{label} 200", None),
    # robots
    (f"GET /robots?{PAGE}&q=&sort= 200", None),
    (f"GET /robots?{PAGE}&q=Level%3Dproject%2CProjectID%3D{{project}}&sort= 200", None),
    (f"GET /robots?{ALL} 200", None),
    (
        "POST /robots 201",
        {"duration": 30, "level": "project", "name": "new", "permissions": PERMISSIONS},
    ),
    ("GET /robots/{robot} 200", None),
    (
        "PUT /robots/{robot} 200",
        {
            "disable": False,
            "duration": -1,
            "editable": True,
            "id": "{robot}",
            "level": "project",
            "name": "robot-secret+ci",
            "permissions": PERMISSIONS,
            **TIMES,
        },
    ),
    ("PATCH /robots/{robot} 200", {}),
    ("PATCH /robots/{robot} 200", {"secret": "MyCustomSecret123"}),
    ("DELETE /robots/{robot} 200", None),
    # people
    ("GET /users/current 200", None),
    ("GET /users?page=0&page_size=100&q=&sort= 200", None),
    (
        "POST /users 201",
        {
            "comment": "new",
            "email": "new@example.org",
            "password": PASSWORD,
            "realname": "New",
            "username": "new",
        },
    ),
    ("PUT /users/{outsider}/sysadmin 200", {"sysadmin_flag": True}),
    ("PUT /users/{outsider}/sysadmin 200", {}),
    ("PUT /users/{outsider}/password 200", {"new_password": "Other-horse-2"}),
    ("DELETE /users/{outsider} 200", None),
    ("GET /permissions 200", None),
    # the installation
    ("GET /ping 200", None),
    ("GET /health 200", None),
    ("GET /statistics 200", None),
    ("GET /systeminfo 200", None),
    ("GET /systeminfo/volumes 200", None),
    ("GET /configurations 200", None),
    ("PUT /configurations 200", {"banner_message": "Hi", "token_expiration": 20}),
    (f"GET /quotas?{PAGE}&reference=&reference_id=&sort= 200", None),
    ("GET /quotas?page=0&page_size=0&reference=&reference_id=&sort= 200", None),
    ("GET /quotas?page=1&page_size=100&reference=project&reference_id={project}&sort= 200", None),
    ("GET /quotas/{quota} 200", None),
    ("PUT /quotas/{quota} 200", {"hard": {"storage": 1 << 30}}),
    (f"GET /auditlog-exts?{PAGE}&q=&sort= 200", None),
    (f"GET /audit-logs?{PAGE}&q=&sort= 200", None),
    ("GET /auditlog-exts/events 200", None),
    ("GET /system/CVEAllowlist 200", None),
    (
        "PUT /system/CVEAllowlist 200",
        {"expires_at": 1_900_000_000, "items": [{"cve_id": "CVE-2026-1"}], **TIMES},
    ),
    # what comes later: lists that are empty, objects that are not there, actions that are refused
    (f"POST {ARTIFACT}/scan 501", None),
    (f"POST {ARTIFACT}/scan/stop 501", None),
    ("GET /jobservice/queues 200", None),
    ("PUT /jobservice/queues/all 501", {"action": "pause"}),
    (f"GET /schedules?{PAGE} 200", None),
    ("GET /security/summary?with_dangerous_artifact=true&with_dangerous_cve=true 200", None),
    ("GET /security/vul?page=1&page_size=100&q=&tune_count=false&with_tag=false 200", None),
    ("GET /scans/all/metrics 200", None),
    ("GET /scans/schedule/metrics 200", None),
    ("GET /system/scanAll/schedule 200", None),
    ("POST /system/scanAll/schedule 501", {"schedule": {"type": "Manual"}, **TIMES}),
    ("PUT /system/scanAll/schedule 501", {"schedule": {"type": "None"}, **TIMES}),
    ("POST /system/scanAll/stop 501", None),
    ("GET /scanners 200", None),
    ("POST /scanners 501", {"name": "s", "url": "https://s.test"}),
    ("POST /scanners/ping 501", {"name": "s", "url": "https://s.test"}),
    ("GET /scanners/1 404", None),
    ("GET /scanners/1/metadata 404", None),
    ("PUT /scanners/1 501", {"name": "s", "url": "https://s.test"}),
    ("PATCH /scanners/1 501", {"is_default": True}),
    ("DELETE /scanners/1 501", None),
    (f"GET /registries?name=&{PAGE}&q=&sort= 200", None),
    (f"GET /registries?name=&{ALL} 200", None),
    ("POST /registries 501", {"id": 0, "name": "hub", "type": "docker-hub", **TIMES}),
    ("GET /registries/1 404", None),
    ("PUT /registries/1 501", {"name": "hub"}),
    ("DELETE /registries/1 501", None),
    ("GET /replication/adapters 200", None),
    (f"GET /replication/policies?name=&{ALL} 200", None),
    ("POST /replication/policies 501", {"name": "copy", **TIMES}),
    ("GET /replication/policies/1 404", None),
    ("PUT /replication/policies/1 501", {"name": "copy", **TIMES}),
    ("DELETE /replication/policies/1 501", None),
    ("GET /replication/executions?page=0&page_size=0&policy_id=1&sort= 200", None),
    ("POST /replication/executions 501", {"policy_id": 1}),
    ("GET /replication/executions/1 404", None),
    ("PUT /replication/executions/1 501", None),
    ("GET /replication/executions/1/tasks 404", None),
    ("GET /replication/executions/1/tasks/1/log 404", None),
    (
        "POST /retentions 501",
        {"algorithm": "or", "scope": {"level": "project", "ref": "{project}"}},
    ),
    ("GET /retentions/1 404", None),
    ("PUT /retentions/1 501", {"algorithm": "or", "id": 1}),
    (f"GET {HOOKS} 200", None),
    (f"POST {HOOKS} 501", {"enabled": True, "name": "hook", **TIMES}),
    (f"GET {HOOKS}/1 404", None),
    (f"PUT {HOOKS}/1 501", {"enabled": True, "name": "hook", **TIMES}),
    (f"DELETE {HOOKS}/1 501", None),
    (f"GET /p2p/preheat/instances?{PAGE}&q=&sort= 200", None),
    ("POST /p2p/preheat/instances 501", {"default": False, "name": "p"}),
    ("POST /p2p/preheat/instances/ping 501", {"default": False, "name": "p"}),
    ("GET /p2p/preheat/instances/p 404", None),
    ("PUT /p2p/preheat/instances/p 501", {"default": False, "name": "p"}),
    ("DELETE /p2p/preheat/instances/p 501", None),
    ("GET /projects/secret/preheat/providers 200", None),
    (f"GET {PREHEAT}?{PAGE}&q=&sort= 200", None),
    (f"POST {PREHEAT} 501", {"enabled": True, "name": "p", **TIMES}),
    (f"GET {PREHEAT}/p 404", None),
    (f"PUT {PREHEAT}/p 501", {"enabled": True, "name": "p", **TIMES}),
    (f"POST {PREHEAT}/p 501", {"enabled": True, "name": "p", **TIMES}),
    (f"DELETE {PREHEAT}/p 501", None),
    (f"GET {PREHEAT}/p/executions?{PAGE}&q=&sort= 404", None),
    (f"GET {PREHEAT}/p/executions/1 404", None),
    (f"PATCH {PREHEAT}/p/executions/1 501", {"status": "Stopped"}),
    ("POST /ldap/ping 501", {"ldap_url": "ldap://l.test"}),
    ("GET /ldap/users/search?username=a 501", None),
    ("POST /ldap/users/import 501", {"ldap_uid_list": ["a"]}),
    ("GET /ldap/groups/search?groupdn=&groupname=a 501", None),
]


def test_every_operation_gets_the_status_that_it_knows(stage: Stage) -> None:
    """One that is not 200 or 201 is what the command then says."""
    admin, found = stage.cast["admin"], []
    for request, body in OPERATIONS:
        method, path, expected = request.split()
        headers = {} if path.startswith("/projects/{project}") else {"X_Is_Resource_Name": "true"}
        with undone():
            response = admin.call(
                method, stage.path(path), stage.body(body), Accept="application/json", **headers
            )
        if str(response.status_code) != expected:
            found.append((request, response.status_code, response.content[:200]))
        if response.status_code == 201:
            assert re.fullmatch(r"/api/v2\.0/.+/[^/]+", response["Location"]), request
        if response.status_code == 501:
            (error,) = errors_of(response)
            assert error["code"] == "NOT_IMPLEMENTED"
            assert error["message"].endswith("is not part of this version."), request
    assert found == []


def test_slashes_in_names_come_encoded_twice(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1", path="team/app/x")
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
