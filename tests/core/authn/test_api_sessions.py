"""Sessions in browsers: begun, recalled, kept from other sites, listed and ended."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.audit.models import AuditEntry
from core.authn import browser_sessions
from core.authn.models import BrowserSession
from core.authn.services import create_personal_token, delete_expired, unlock_logins
from core.common.clock import now
from core.configurations.services import update_settings
from core.rbac.types import Actor
from core.users import passwords
from core.users.services import set_active, set_password, set_system_admin
from tests.core.api.cast import Cast, basic, body_of, errors_of, make_cast, rows_of
from tests.factories.browser_sessions import make_browser_session
from tests.factories.users import PASSWORD, actor_of

SYSTEM = Actor.system()
TOKEN = "X-Harbor-CSRF-Token"
API = "/api/v2.0"


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


class Browser:
    """Keeps cookies, and sends the token of the last answer when told to."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.token = ""

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault(TOKEN, self.token)
        data = b"" if body is None else json.dumps(body).encode()
        where = path if path.startswith("/c/") else API + path
        response: HttpResponse = self.client.generic(
            method, where, data, content_type="application/json", headers=sent
        )
        return response

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> HttpResponse:
        form = {"principal": name, "password": password}
        response: HttpResponse = self.client.post(
            "/c/login",
            "&".join(f"{key}={value}" for key, value in form.items()),
            content_type="application/x-www-form-urlencoded",
            headers={key.replace("_", "-"): value for key, value in headers.items()},
        )
        self.token = response.headers.get(TOKEN, "")
        return response


def browser_of(name: str) -> Browser:
    browser = Browser()
    assert browser.log_in(name).status_code == 200
    return browser


def status(browser: Browser) -> int:
    return browser.send("GET", "/users/current").status_code


def test_a_session_from_login_to_logout(cast: Cast) -> None:
    browser = Browser()
    assert status(browser) == 401
    begun = browser.log_in("guest")
    assert (begun.status_code, begun.content) == (200, b"")
    cookie = begun.cookies["sid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert begun.cookies["_gorilla_csrf"]["samesite"] == "Strict"
    assert cookie.value.encode() not in bytes(BrowserSession.objects.get().secret_hash)
    current = browser.send("GET", "/users/current")
    assert body_of(current)["username"] == "guest"
    assert current[TOKEN] == browser.token
    assert browser.send("GET", "/c/log_out").status_code == 200
    assert status(browser) == 401
    browser.client.cookies["sid"] = cookie.value
    assert status(browser) == 401
    actions = AuditEntry.objects.filter(target_kind="browser_session").order_by("pk")
    assert [(entry.action, entry.actor_label) for entry in actions] == [
        ("authn.browser_session.begun", "guest"),
        ("authn.browser_session.ended", "guest"),
    ]


def test_who_cannot_log_in(cast: Cast) -> None:
    made = create_personal_token(
        cast.users["guest"], name="t", scopes=["management:read"], actor=SYSTEM
    )
    for name, secret in (("guest", "wrong"), ("nobody", PASSWORD), ("guest", made.secret)):
        refused = Browser().log_in(name, secret)
        assert refused.status_code == 401
        assert errors_of(refused)[0]["code"] == "UNAUTHORIZED"
        assert "WWW-Authenticate" not in refused.headers
        assert "sid" not in refused.cookies
    assert Browser().log_in("guest", Sec_Fetch_Site="cross-site").status_code == 403
    assert Browser().log_in("guest", Sec_Fetch_Site="same-origin").status_code == 200
    assert Browser().log_in("", "").status_code == 422
    as_json = Browser().send("POST", "/c/login", {"principal": "guest", "password": PASSWORD})
    assert as_json.status_code == 415


def test_changes_need_the_token_and_every_answer_carries_it(cast: Cast) -> None:
    browser = browser_of("owner")
    token, browser.token = browser.token, ""
    path, body = "/projects/secret", {"metadata": {"public": "true"}}
    for wrong in ({}, {TOKEN: "x"}, {TOKEN: "\u00fc"}, {TOKEN: browser_of("guest").token}):
        refused = browser.send("PUT", path, body, **wrong)
        assert (refused.status_code, errors_of(refused)[0]["code"]) == (403, "FORBIDDEN")
        assert refused[TOKEN] == token
    assert browser.send("PUT", path, body, **{TOKEN: token}).status_code == 200
    assert browser.send("DELETE", "/nowhere").status_code == 403
    # A cookie that is no session's is protected all the same, and nobody's.
    stale = Browser()
    stale.client.cookies["sid"] = "gone"
    answered = stale.send("GET", "/ping")
    assert stale.send("PUT", path, body).status_code == 403
    assert stale.send("PUT", path, body, **{TOKEN: answered[TOKEN]}).status_code == 401


def test_credentials_in_a_header_need_no_token_and_win(cast: Cast) -> None:
    browser = browser_of("guest")
    browser.token = ""
    answered = browser.send(
        "PUT",
        "/projects/secret",
        {"metadata": {"public": "true"}},
        Authorization=basic("owner", PASSWORD),
    )
    assert answered.status_code == 200
    assert TOKEN not in answered.headers
    wrong = browser.send("GET", "/users/current", Authorization=basic("owner", "wrong"))
    assert wrong.status_code == 401


@pytest.mark.parametrize("change", ["password", "disabled", "deleted"])
def test_lost_credentials_end_sessions_at_once(cast: Cast, change: str) -> None:
    user = cast.users["guest"]
    browser, other = browser_of("guest"), browser_of("owner")
    assert status(browser) == 200
    if change == "password":
        set_password(user, "Another-horse-2", actor=SYSTEM)
    elif change == "disabled":
        set_active(user, False, actor=SYSTEM)
        assert status(browser) == 401
        set_active(user, True, actor=SYSTEM)
    else:
        assert cast["admin"].delete(f"/users/{user.pk}").status_code == 200
    assert status(browser) == 401
    assert status(other) == 200


def test_rights_are_those_of_the_moment(cast: Cast) -> None:
    browser = browser_of("outsider")
    assert browser.send("GET", "/users").status_code == 403
    set_system_admin(cast.users["outsider"], True, actor=SYSTEM)
    assert browser.send("GET", "/users").status_code == 200
    set_system_admin(cast.users["outsider"], False, actor=SYSTEM)
    assert browser.send("GET", "/users").status_code == 403


def test_sessions_end_when_nobody_uses_them(cast: Cast) -> None:
    update_settings({"session_timeout": 30}, actor=SYSTEM)
    at = now()
    with time_machine.travel(at, tick=False) as clock:
        browser, idle = browser_of("guest"), browser_of("guest")
        for minutes in (20, 40, 60):
            clock.move_to(at + timedelta(minutes=minutes))
            assert status(browser) == 200
        assert status(idle) == 401
        # What a page asks by itself keeps no session alive.
        clock.move_to(at + timedelta(minutes=80))
        unrenewed = browser.send("GET", "/users/current", X_Harbor_No_Session_Renewal="true")
        assert unrenewed.status_code == 200
        clock.move_to(at + timedelta(minutes=91))
        assert status(browser) == 401
        # A longer time counts for sessions that are there.
        update_settings({"session_timeout": 60}, actor=SYSTEM)
        assert status(browser) == 200
        assert delete_expired(now())["browser_sessions"] == 1


def test_a_request_costs_one_statement_and_is_recorded_once_a_minute(cast: Cast) -> None:
    browser = browser_of("guest")
    status(browser)
    with CaptureQueriesContext(connection) as statements:
        assert status(browser) == 200
    assert len(statements) == 2  # the session, and the user who is shown
    with time_machine.travel(now() + timedelta(seconds=61)):
        with CaptureQueriesContext(connection) as statements:
            assert status(browser) == 200
        assert len(statements) == 3


def test_own_sessions_are_listed_and_ended(cast: Cast) -> None:
    first, second = browser_of("guest"), browser_of("guest")
    make_browser_session(cast.users["owner"])
    make_browser_session(cast.users["guest"], unused_for=timedelta(hours=2))
    listed = rows_of(second.send("GET", "/users/current/sessions"))
    assert [row["current"] for row in listed] == [True, False]
    assert set(listed[0]) >= {"id", "address", "creation_time", "last_seen_at", "expires_at"}
    assert "secret_hash" not in listed[0]
    path = f"/users/current/sessions/{listed[1]['id']}"
    assert body_of(second.send("GET", path)) == listed[1]
    assert second.send("DELETE", path).status_code == 200
    assert second.send("DELETE", path).status_code == 404
    assert (status(first), status(second)) == (401, 200)
    foreign = BrowserSession.objects.get(user=cast.users["owner"])
    path = f"/users/current/sessions/{foreign.pk}"
    assert second.send("GET", path).status_code == 404
    assert second.send("DELETE", path).status_code == 404
    assert second.send("DELETE", "/users/current/sessions").status_code == 200
    assert status(second) == 401
    assert not BrowserSession.objects.filter(user=cast.users["guest"]).exists()
    assert BrowserSession.objects.filter(pk=foreign.pk).exists()


def test_administrators_end_sessions_of_others(cast: Cast, settings: Settings) -> None:
    guest, boss = browser_of("guest"), browser_of("boss")
    user_id, boss_id = cast.users["guest"].pk, cast.users["admin"].pk
    [row] = rows_of(cast["admin"].get(f"/users/{user_id}/sessions"))
    assert row["current"] is False
    path = f"/users/{user_id}/sessions/{row['id']}"
    assert cast["outsider"].delete(path).status_code == 403
    assert cast["admin"].delete(path).status_code == 200
    assert status(guest) == 401
    # A robot may administer accounts, and neither sees nor ends what people have open.
    settings.AUTHENTICATORS = ("core.robots.authenticator", *settings.AUTHENTICATORS)
    make_browser_session(cast.users["guest"])
    kept = BrowserSession.objects.get(user=cast.users["guest"])
    for path in (
        f"/users/{user_id}/sessions",
        f"/users/{user_id}/sessions/{kept.pk}",
        f"/users/{boss_id}/sessions",
    ):
        for method in ("GET", "DELETE"):
            assert cast["system_robot"].call(method, path).status_code == 403, (method, path)
    assert status(boss) == 200
    assert BrowserSession.objects.filter(pk=kept.pk).exists()
    assert cast["admin"].delete(f"/users/{boss_id}/sessions").status_code == 200
    assert status(boss) == 401


def test_a_login_replaces_the_session_of_the_browser_and_the_oldest_of_too_many(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = browser_of("guest")
    former = browser.client.cookies["sid"].value
    browser.log_in("owner")
    assert body_of(browser.send("GET", "/users/current"))["username"] == "owner"
    browser.client.cookies["sid"] = former
    assert status(browser) == 401
    monkeypatch.setattr(browser_sessions, "MAXIMUM_SESSIONS", 2)
    oldest, newer, newest = (browser_of("outsider") for _ in range(3))
    assert [status(each) for each in (oldest, newer, newest)] == [401, 200, 200]


def test_a_session_is_the_user_itself(cast: Cast) -> None:
    browser = browser_of("guest")
    found = browser_sessions.recall_session(
        browser.client.cookies["sid"].value, origin=actor_of(cast.users["guest"]).origin, renew=True
    )
    assert found is not None
    assert found[0].subject == f"user:{cast.users['guest'].pk}"
    assert found[0].is_unlimited
    wanted = {"old_password": PASSWORD, "new_password": "Another-horse-2"}
    path = f"/users/{cast.users['guest'].pk}/password"
    assert browser.send("PUT", path, wanted).status_code == 200
    assert status(browser) == 401


def test_whoever_holds_a_session_cannot_try_passwords_without_end(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, browser = cast.users["guest"], browser_of("guest")
    own, other = (
        create_personal_token(
            cast.users[name], name="t", scopes=["management:write"], actor=SYSTEM
        ).secret
        for name in ("guest", "owner")
    )

    def change(old: str) -> HttpResponse:
        wanted = {"old_password": old, "new_password": "Another-horse-2"}
        return browser.send("PUT", f"/users/{user.pk}/password", wanted)

    assert [change(secret).status_code for secret in (own, other)] == [403, 403]
    with monkeypatch.context() as patch:
        looked: list[str] = []
        is_correct = passwords.is_correct

        def look(password: str, stored_hash: str | None) -> bool:
            looked.append(password)
            return is_correct(password, stored_hash)

        patch.setattr(passwords, "is_correct", look)
        answers = [change(f"Wrong-horse-{number}") for number in range(11)] + [change(PASSWORD)]
        assert [answer.status_code for answer in answers] == [403] * 10 + [429] * 2
        assert len(looked) == 10
    refused = answers[-1]
    assert errors_of(refused)[0]["code"] == "TOO_MANY_REQUEST"
    assert 0 < int(refused["Retry-After"]) <= 300
    assert Browser().log_in("guest").status_code == 429
    denied = AuditEntry.objects.filter(action="user.login", target_label="guest", outcome="denied")
    assert denied.count() >= 10
    unlock_logins("guest", actor=SYSTEM)
    assert change(PASSWORD).status_code == 200
