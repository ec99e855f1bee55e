"""Run-time settings over the management API."""

import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from core.api import conditions
from core.api.views import ManagementView
from core.audit.models import AuditEntry
from core.common.clock import now
from core.robots.models import Robot
from core.system_settings import queries
from core.system_settings.models import StoredSettings
from core.system_settings.queries import current
from core.system_settings.types import DECLARED
from core.users.models import User
from core.users.registrations import ATTEMPTS_PER_ADDRESS
from tests.core.api.cast import (
    Cast,
    anonymous,
    body_of,
    caller_of,
    errors_of,
    make_cast,
)
from tests.factories.browser_sessions import make_browser_session
from tests.factories.projects import make_repository
from tests.factories.users import PASSWORD, make_user
from tests.support.crowds import at_once

HARBOR_KEYS = """
auth_mode primary_auth_mode ldap_base_dn ldap_filter ldap_group_base_dn ldap_group_admin_dn
ldap_group_attribute_name ldap_group_search_filter ldap_group_search_scope
ldap_group_attach_parallel ldap_scope ldap_search_dn ldap_timeout ldap_uid ldap_url
ldap_verify_cert ldap_group_membership_attribute project_creation_restriction read_only
self_registration token_expiration uaa_client_id uaa_endpoint uaa_verify_cert
http_authproxy_endpoint http_authproxy_tokenreview_endpoint http_authproxy_admin_groups
http_authproxy_admin_usernames http_authproxy_verify_cert http_authproxy_skip_search
http_authproxy_server_certificate oidc_name oidc_endpoint oidc_client_id oidc_groups_claim
oidc_admin_group oidc_group_filter oidc_scope oidc_user_claim oidc_verify_cert oidc_auto_onboard
oidc_extra_redirect_parms robot_token_duration robot_name_prefix notification_enable
quota_per_project_enable storage_per_project audit_log_forward_endpoint skip_audit_log_database
scanner_skip_update_pulltime session_timeout banner_message
"""
NEW_USER = {"username": "visitor", "password": PASSWORD, "email": "v@example.org"}


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def put(cast: Cast, **wanted: Any) -> None:
    response = cast["admin"].put("/configurations", wanted)
    assert (response.status_code, response.content) == (200, b"")


def test_every_key_is_shown_with_its_value_and_whether_it_can_change(cast: Cast) -> None:
    shown = body_of(cast["admin"].get("/configurations"))
    assert shown.pop("scan_all_policy") == {"type": "none"}
    assert set(HARBOR_KEYS.split()) <= set(shown)
    assert set(DECLARED) <= set(shown)
    assert all(set(item) == {"value", "editable"} for item in shown.values())
    assert {key for key, item in shown.items() if item["editable"]} == set(DECLARED)
    assert not [key for key in shown if "password" in key or "secret" in key]
    assert shown["token_expiration"] == {"value": 15, "editable": True}
    assert shown["ldap_scope"] == {"value": 2, "editable": False}


def test_what_was_read_can_be_written_back_and_some_of_it_changed(cast: Cast) -> None:
    shown = body_of(cast["admin"].get("/configurations"))
    flat = {key: item.get("value", item) for key, item in shown.items()}
    put(cast, **flat)
    assert not AuditEntry.objects.filter(target_kind="configuration").exists()
    put(cast, **{**flat, "session_timeout": 5, "banner_message": None})
    assert body_of(cast["admin"].get("/configurations"))["session_timeout"]["value"] == 5
    entry = AuditEntry.objects.get(target_kind="configuration")
    assert (entry.actor_label, entry.target_label) == ("boss", "session_timeout")


@pytest.fixture
def stale(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember the settings as they are now, as a process does that learns of no change."""
    monkeypatch.setattr(queries, "FRESH_SECONDS", 3600.0)
    assert current() == queries.remembered()
    monkeypatch.setattr(queries, "forget", lambda: None)


def test_what_another_process_has_changed_is_shown_at_once(cast: Cast, stale: None) -> None:
    admin = cast["admin"]
    before = admin.get("/configurations")["ETag"]
    changed = {"banner_message": "Tonight", "read_only": True}
    StoredSettings.objects.create(changed=changed, updated_at=now())
    assert current().banner_message == ""
    shown = admin.get("/configurations", If_None_Match=before)
    assert (shown.status_code, body_of(shown)["banner_message"]["value"]) == (200, "Tonight")
    assert body_of(anonymous().get("/systeminfo"))["banner_message"] == "Tonight"
    asked = "/explain?permission=repository:push&project=secret"
    assert body_of(cast["owner"].get(asked))["allowed"] is False
    wanted = {"banner_message": "Tomorrow"}
    assert admin.put("/configurations", wanted, If_Match=before).status_code == 412
    assert admin.put("/configurations", wanted, If_Match=shown["ETag"]).status_code == 200
    assert admin.put("/configurations", wanted, If_Match=shown["ETag"]).status_code == 412
    assert body_of(admin.get("/configurations"))["banner_message"]["value"] == "Tomorrow"


@pytest.mark.django_db(transaction=True)
def test_of_writers_who_saw_the_same_one_wins(stale: None) -> None:
    admin = caller_of(make_user("boss", is_system_admin=True))
    tag = admin.get("/configurations")["ETag"]

    def write(number: int) -> int:
        caller = caller_of(make_user(f"boss{number}", is_system_admin=True))
        wanted = {"banner_message": f"From {number}"}
        return caller.put("/configurations", wanted, If_Match=tag).status_code

    statuses = at_once(4, write)
    assert sorted(map(str, statuses)) == ["200", "412", "412", "412"]
    shown = body_of(admin.get("/configurations"))["banner_message"]["value"]
    assert shown == f"From {statuses.index(200)}"


@pytest.mark.django_db(transaction=True)
def test_nobody_writes_between_the_comparison_and_the_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = caller_of(make_user("boss", is_system_admin=True))
    compare, could_write = conditions.ensure_matches, []

    def try_lock(_number: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [queries.LOCK])
            return bool(cursor.fetchone()[0])

    def compare_and_look(view: ManagementView, header: str) -> None:
        compare(view, header)
        if connection.in_atomic_block:
            could_write.extend(at_once(1, try_lock))

    monkeypatch.setattr(conditions, "ensure_matches", compare_and_look)
    tag = admin.get("/configurations")["ETag"]
    answer = admin.put("/configurations", {"session_timeout": 5}, If_Match=tag)
    assert (answer.status_code, could_write) == (200, [False])


@pytest.mark.parametrize(
    ("wanted", "status", "key"),
    [
        ({"no_such_thing": 1}, 400, "no_such_thing"),
        ({"token_expiration": 0}, 400, "token_expiration"),
        ({"read_only": "yes"}, 400, "read_only"),
        ({"read_only": True, "session_timeout": -1}, 400, "session_timeout"),
        ({"auth_mode": "oidc_auth"}, 400, "auth_mode"),
        ({"skip_audit_log_database": True}, 400, "skip_audit_log_database"),
        ({"robot_name_prefix": "guest"}, 409, "robot_name_prefix"),
        (["read_only"], 422, "object"),
        ("read_only", 422, "object"),
    ],
)
def test_a_refusal_names_the_key_and_changes_nothing(
    cast: Cast, wanted: Any, status: int, key: str
) -> None:
    response = cast["admin"].put("/configurations", wanted)
    assert response.status_code == status
    assert key in errors_of(response)[0]["message"]
    assert current().read_only is False


def test_general_information_says_what_is_set(cast: Cast) -> None:
    banner = '{"message":"Tonight","type":"warning"}'
    put(
        cast,
        banner_message=banner,
        self_registration=True,
        project_creation_restriction="adminonly",
        read_only=True,
        notification_enable=False,
    )
    stranger = body_of(anonymous().get("/systeminfo"))
    assert (stranger["banner_message"], stranger["self_registration"]) == (banner, True)
    assert "read_only" not in stranger
    member = body_of(cast["guest"].get("/systeminfo"))
    assert member["read_only"] is True
    assert member["project_creation_restriction"] == "adminonly"
    assert member["registry_storage_provider_name"] == "filesystem"
    assert "notification_enable" not in member


def test_visitors_register_only_where_that_is_set(cast: Cast) -> None:
    assert anonymous().post("/users", NEW_USER).status_code == 401
    assert anonymous().post("/users", {"username": 7}).status_code == 401
    put(cast, self_registration=True)
    created = anonymous().post("/users", NEW_USER)
    assert created.status_code == 201
    assert created["Location"] == f"/api/v2.0/users/{User.objects.get(username='visitor').pk}"
    # Whoever is somebody already needs the permission.
    assert cast["guest"].post("/users", {**NEW_USER, "username": "other"}).status_code == 403
    in_session = anonymous()
    in_session.client.cookies["sid"] = make_browser_session(cast.users["guest"]).secret
    assert in_session.post("/users", {**NEW_USER, "username": "other"}).status_code == 403
    assert anonymous().post("/users", {**NEW_USER, "password": "weak"}).status_code == 400
    assert anonymous().post("/users", NEW_USER).status_code == 409
    for _ in range(ATTEMPTS_PER_ADDRESS - 3):
        anonymous().post("/users", NEW_USER)
    throttled = anonymous().post("/users", {**NEW_USER, "username": "late"})
    assert throttled.status_code == 429
    assert 0 < int(throttled["Retry-After"]) <= 3600
    assert (
        cast["admin"]
        .post("/users", {**NEW_USER, "username": "late", "email": "late@example.org"})
        .status_code
        == 201
    )


def test_projects_are_left_to_administrators_where_that_is_set(cast: Cast) -> None:
    put(cast, project_creation_restriction="adminonly")
    refused = cast["owner"].post("/projects", {"project_name": "new"})
    assert (refused.status_code, errors_of(refused)[0]["code"]) == (403, "FORBIDDEN")
    assert cast["system_robot"].post("/projects", {"project_name": "robots"}).status_code == 201
    assert cast["admin"].post("/projects", {"project_name": "new"}).status_code == 201


@pytest.mark.parametrize("is_open", [True, False])
def test_registration_goes_by_no_former_value(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    put(cast, self_registration=not is_open)
    assert current().self_registration is not is_open
    former = queries._STORE.memory
    assert former is not None
    put(cast, self_registration=is_open)
    # What another process has read a moment ago.
    monkeypatch.setattr(queries._STORE, "memory", replace(former, read_at=time.monotonic()))
    assert current().self_registration is not is_open
    assert anonymous().post("/users", NEW_USER).status_code == (201 if is_open else 401)


@pytest.mark.parametrize("asked", [{}, {"duration": 0}, {"duration": None}])
def test_robots_last_as_long_as_is_set(cast: Cast, stale: None, asked: dict[str, Any]) -> None:
    put(cast, robot_token_duration=7)
    access = [{"resource": "repository", "action": "pull"}]
    permissions = [{"kind": "project", "namespace": "secret", "access": access}]
    wanted = {"name": "new", "level": "project", "permissions": permissions}
    assert cast["owner"].post("/robots", {**wanted, **asked}).status_code == 201
    assert Robot.objects.get(name="new").duration_days == 7
    put(cast, robot_token_duration=-1)
    assert cast["owner"].post("/robots", {**wanted, "name": "next", **asked}).status_code == 201
    assert Robot.objects.get(name="next").expires_at is None


def test_read_only_mode_has_an_error_of_its_own(cast: Cast) -> None:
    make_repository(cast.project, "app")
    put(cast, read_only=True)
    path = "/projects/secret/repositories/app"
    for method, body in (("PUT", {"description": "x"}), ("DELETE", None)):
        refused = cast["owner"].call(method, path, body)
        assert refused.status_code == 403
        assert errors_of(refused)[0]["code"] == "DENIED"
        assert "read-only" in errors_of(refused)[0]["message"]
    assert cast["owner"].get(path).status_code == 200
    put(cast, read_only=False)
    assert cast["owner"].put(path, {"description": "x"}).status_code == 200
