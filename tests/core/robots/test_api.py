"""Robots over the management API."""

from importlib import import_module
from typing import Any

import pytest

from core.authn.services import create_personal_token
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed
from core.database import raw
from core.rbac.types import Actor, ActorKind
from core.robots import services
from core.robots.models import Robot
from tests.core.api.cast import (
    Caller,
    Cast,
    basic,
    bearer,
    body_of,
    errors_of,
    make_cast,
    rows_of,
)
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.factories.users import actor_of

ACCESS = [{"resource": "repository", "action": "pull"}, {"resource": "project", "action": "read"}]


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def wanted(**changes: Any) -> dict[str, Any]:
    permission = {"kind": "project", "namespace": "secret", "access": ACCESS}
    return {
        "name": "deploy",
        "level": "project",
        "duration": 30,
        "description": "for deployments",
        "disable": False,
        "permissions": [permission],
        **changes,
    }


def test_a_robot_is_created_shown_changed_and_deleted(cast: Cast) -> None:
    owner = cast["owner"]
    created = owner.post("/robots", wanted())
    assert created.status_code == 201
    body = body_of(created)
    robot = Robot.objects.get(name="deploy")
    assert set(body) == {"id", "name", "secret", "creation_time", "expires_at"}
    assert body["name"] == "robot-secret+deploy"
    assert is_well_formed(body["secret"], "rob")
    assert robot.expires_at is not None
    assert body["expires_at"] == int(robot.expires_at.timestamp())
    assert created["Location"] == f"/api/v2.0/robots/{robot.pk}"

    caller = Caller("deploy", basic(body["name"], body["secret"]))
    assert caller.get("/projects/secret").status_code == 200
    shown = body_of(owner.get(created["Location"]))
    assert shown["level"] == "project"
    assert shown["duration"] == 30
    assert (shown["editable"], shown["disable"]) == (True, False)
    assert (shown["created_by"], shown["creator_type"]) == ("owner", "local")
    assert shown["creator_ref"] == cast.users["owner"].pk
    assert shown["permissions"] == [
        {
            "kind": "project",
            "namespace": "secret",
            "access": sorted(ACCESS, key=lambda access: access["resource"]),
        }
    ]
    assert "secret" not in shown

    assert owner.put(created["Location"], shown | {"disable": True}).status_code == 200
    assert caller.get("/projects/secret").status_code == 401
    assert owner.put(created["Location"], {"disable": False, "duration": -1}).status_code == 200
    shown = body_of(owner.get(created["Location"]))
    assert (shown["disable"], shown["duration"], shown["expires_at"]) == (False, -1, -1)
    assert shown["description"] == "for deployments"
    assert owner.delete(created["Location"]).status_code == 200
    assert caller.get("/projects/secret").status_code == 401


def test_robots_say_who_made_them(cast: Cast) -> None:
    maker = make_robot("maker", project=None, permissions={"/": ["robot:create"]}).robot
    robot = Actor(ActorKind.ROBOT, maker.pk, "robot-maker", Origin.internal(), is_system_admin=True)
    services.create_robot("made", project=None, permissions={}, duration_days=None, actor=robot)
    makers = {"robot-maker": (None, None), "robot-made": ("robot", maker.pk)}

    def shown() -> dict[str, tuple[Any, Any]]:
        rows = rows_of(cast["admin"].get("/robots?q=name%3D~ma"))
        return {row["name"]: (row.get("creator_type"), row.get("creator_ref")) for row in rows}

    assert shown() == makers
    # Those from before it was kept get it from the audit log.
    migration = import_module("core.robots.migrations.0003_makers_from_the_audit_log")
    Robot.objects.update(creator="")
    assert shown() == dict.fromkeys(makers, (None, None))
    for operation in migration.Migration.operations:
        raw.execute(operation.sql)
    assert shown() == makers


def test_a_secret_is_rotated_with_and_without_overlap(cast: Cast) -> None:
    owner = cast["owner"]
    created = owner.post("/robots", wanted())
    first = body_of(created)

    def works(secret: str) -> bool:
        caller = Caller("robot", basic(first["name"], secret))
        return caller.get("/projects/secret").status_code == 200

    second = body_of(owner.patch(created["Location"], {"secret": "", "overlap_seconds": 600}))
    assert set(second) == {"secret"}
    assert works(first["secret"])
    assert works(second["secret"])
    third = body_of(owner.patch(created["Location"], {"secret": ""}))
    assert works(third["secret"])
    assert not works(second["secret"])
    assert not works(first["secret"])


@pytest.mark.parametrize(
    ("query", "body", "status", "named"),
    [
        ("", {"overlap_second": 600}, 400, "overlap_second is not known"),
        ("", {"secret": "", "Overlap_Seconds": 600}, 400, "Overlap_Seconds is not known"),
        ("?overlap_seconds=600", {"secret": ""}, 400, "overlap_seconds in query is not known"),
        ("", {"overlap_seconds": None}, 422, "overlap_seconds"),
        ("", {"overlap_seconds": -1}, 422, "overlap_seconds"),
    ],
)
def test_no_misspelt_overlap_ends_the_running_secret(
    cast: Cast, query: str, body: Any, status: int, named: str
) -> None:
    owner = cast["owner"]
    created = owner.post("/robots", wanted())
    first = body_of(created)
    response = owner.patch(f"{created['Location']}{query}", body)
    assert (response.status_code, named in errors_of(response)[0]["message"]) == (status, True)
    caller = Caller("robot", basic(first["name"], first["secret"]))
    assert caller.get("/projects/secret").status_code == 200


def test_what_clients_send_for_a_new_secret(cast: Cast) -> None:
    """``{"secret": ...}``, nothing at all, what they have just read, or all of Harbor's model."""
    owner = cast["owner"]
    created = owner.post("/robots", wanted())
    shown = body_of(owner.get(created["Location"]))
    created_by = {"creator_type": "local", "creator_ref": 1, "expires_at": -1, "editable": True}
    whole = {**shown, **created_by, "description": "", "secret": "Chosen-secret-1"}
    for body, is_shown in (
        ({"secret": ""}, True),
        ({"secret": None}, True),
        ({}, True),
        (None, True),
        (shown, True),
        (body_of(created), False),
        (whole, False),
    ):
        body = {**body, "secret": "Chosen-secret-2"} if body == body_of(created) else body
        rotated = owner.patch(created["Location"], body)
        assert rotated.status_code == 200, (body, rotated.content)
        assert (body_of(rotated)["secret"] != "") is is_shown


def test_lists_are_of_one_project_or_of_the_system(cast: Cast) -> None:
    make_project("other")

    def names(query: str) -> list[str]:
        return [row["name"] for row in rows_of(cast["admin"].get(f"/robots{query}"))]

    assert names("") == ["robot-sys"]
    assert names("?q=Level%3Dsystem") == ["robot-sys"]
    assert names(f"?q=Level%3Dproject,ProjectID%3D{cast.project.pk}") == ["robot-secret+ci"]
    assert names(f"?q=Level%3Dproject,ProjectID%3D{cast.project.pk},name%3D~x") == []
    for query in ("Level%3Dproject", "Level%3Dproject,ProjectID%3Dx", "Level%3Dgalaxy", "Level"):
        assert cast["admin"].get(f"/robots?q={query}").status_code == 400
    missing = cast["admin"].get("/robots?q=Level%3Dproject,ProjectID%3D999999")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "UPPER"}, 400),
        ({"name": "a+b"}, 400),
        ({"name": ""}, 422),
        ({"name": "ci"}, 409),
        ({"level": "galaxy"}, 422),
        ({"duration": -2}, 422),
        ({"duration": 10**9}, 422),
        ({"permissions": []}, 400),
        ({"permissions": "all"}, 422),
        ({"permissions": [{"kind": "project", "namespace": "*", "access": ACCESS}]}, 400),
        ({"permissions": [{"kind": "system", "namespace": "secret", "access": ACCESS}]}, 400),
        ({"permissions": [{"kind": "project", "namespace": "secret", "access": "all"}]}, 422),
        (
            {
                "permissions": [
                    {
                        "kind": "project",
                        "namespace": "secret",
                        "access": [{"resource": "no", "action": "such"}],
                    }
                ]
            },
            400,
        ),
    ],
)
def test_bad_robots(cast: Cast, changes: dict[str, Any], status: int) -> None:
    response = cast["owner"].post("/robots", wanted(**changes))
    assert response.status_code == status, response.content
    assert errors_of(response)


def test_nobody_hands_out_more_than_they_hold(cast: Cast) -> None:
    elsewhere = {"kind": "project", "namespace": "other", "access": ACCESS}
    make_project("other")
    assert cast["owner"].post("/robots", wanted(permissions=[elsewhere])).status_code == 403
    everything = [
        {"kind": "system", "namespace": "/", "access": [{"resource": "user", "action": "list"}]},
        {"kind": "project", "namespace": "*", "access": ACCESS},
    ]
    body = wanted(level="system", permissions=everything)
    assert cast["owner"].post("/robots", body).status_code == 403
    created = cast["admin"].post("/robots", body)
    assert created.status_code == 201
    assert body_of(created)["name"] == "robot-deploy"


def test_a_token_without_content_revives_no_robot_that_has_it(cast: Cast) -> None:
    owner = cast.users["owner"]
    created = cast["owner"].post("/robots", wanted(disable=True))
    token = bearer(
        create_personal_token(
            owner, name="t", scopes=["management:write"], actor=actor_of(owner)
        ).secret
    )
    where = created["Location"]
    whole = body_of(token.get(where)) | {"description": "read and put back"}
    for change, status in (
        (whole, 200),
        (whole | {"disable": False}, 403),
        # A whole robot is enabled unless it says otherwise.
        ({"name": whole["name"]}, 403),
        ({"duration": -1}, 403),
        ({"duration": 400}, 403),
        ({"duration": 3}, 200),
    ):
        assert token.put(where, change).status_code == status, change
    shown = body_of(cast["owner"].get(where))
    assert (shown["disable"], shown["duration"]) == (True, 3)
    assert cast["owner"].put(where, {"disable": False, "duration": -1}).status_code == 200


def test_name_and_level_stay(cast: Cast) -> None:
    created = cast["owner"].post("/robots", wanted())
    for change in ({"name": "other"}, {"level": "system"}):
        assert cast["owner"].put(created["Location"], change).status_code == 400
    same = {"name": "robot-secret+deploy", "level": "project"}
    assert cast["owner"].put(created["Location"], same).status_code == 200


def test_missing_and_hidden_robots_are_told_apart_by_nobody(cast: Cast) -> None:
    robot = Robot.objects.get(project=cast.project)
    # sys may read robots of the system, and nothing of this one's project.
    for name in ("outsider", "guest", "project_robot", "system_robot", "anonymous"):
        for method, body in (("GET", None), ("PUT", {}), ("PATCH", {}), ("DELETE", None)):
            if (name, method) == ("guest", "GET"):
                continue
            hidden = cast[name].call(method, f"/robots/{robot.pk}", body)
            missing = cast[name].call(method, "/robots/999999", body)
            assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
            assert hidden.status_code in (401, 403, 404)


def test_robots_of_missing_and_hidden_projects_are_told_apart_by_nobody(cast: Cast) -> None:
    for name in ("outsider", "system_robot", "anonymous"):
        hidden, missing = (
            cast[name].get(f"/robots?q=Level=project,ProjectID={number}")
            for number in (cast.project.pk, 999999)
        )
        assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
        assert b"secret" not in hidden.content
