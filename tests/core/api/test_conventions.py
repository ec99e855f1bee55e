"""What holds for every route: headers, pages, names, credentials, errors."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from core.api import pagination, system
from core.api.fields import NEVER, timestamp
from core.audit.models import AuditEntry
from core.authn.services import create_personal_token
from core.database import raw
from tests.core.api.cast import (
    Caller,
    Cast,
    anonymous,
    basic,
    bearer,
    body_of,
    errors_of,
    rows_of,
)
from tests.factories.projects import make_project, make_repository
from tests.factories.users import PASSWORD, actor_of
from tests.support.read_only import read_only_database

APP = "/projects/secret/repositories/app"


@contextmanager
def table_held_by_another_session() -> Iterator[None]:
    """Let nobody else take the table of projects for themselves."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE projects_project IN ACCESS SHARE MODE")
        yield
    finally:
        other.close()


def make_projects(count: int) -> None:
    for number in range(count):
        make_project(f"p{number:03d}", is_public=True)


def test_the_version_is_what_replication_adapters_expect() -> None:
    response = anonymous().get("/api/version")
    assert body_of(response) == {"version": "v2.0"}
    assert anonymous().post("/api/version").status_code == 405


def test_ping_is_text() -> None:
    response = anonymous().get("/ping", Accept="text/plain")
    assert response.content == b"Pong"
    assert response["Content-Type"].startswith("text/plain")


def test_the_request_id_is_echoed_or_made() -> None:
    assert anonymous().get("/ping", X_Request_Id="abc-1")["X-Request-Id"] == "abc-1"
    made = anonymous().get("/ping")["X-Request-Id"]
    assert len(made) == 32
    assert anonymous().get("/ping", X_Request_Id="x" * 65)["X-Request-Id"] != "x" * 65


def test_the_request_id_reaches_the_audit_log(cast: Cast) -> None:
    cast["admin"].put("/projects/secret", {"metadata": {"public": "true"}}, X_Request_Id="r-42")
    entry = AuditEntry.objects.get(action="projects.project.updated")
    assert (entry.request_id, entry.address, entry.actor_label) == ("r-42", "127.0.0.1", "boss")


class TestPages:
    def test_totals_and_links(self, db: None) -> None:
        make_projects(25)
        first = anonymous().get("/projects?q=name%3D~p&page_size=10")
        assert first["X-Total-Count"] == "25"
        assert len(rows_of(first)) == 10
        assert first["Link"] == '</api/v2.0/projects?q=name%3D~p&page=2&page_size=10>; rel="next"'
        middle = anonymous().get("/projects?page=2&page_size=10")
        assert middle["Link"] == (
            '</api/v2.0/projects?page=3&page_size=10>; rel="next" , '
            '</api/v2.0/projects?page=1&page_size=10>; rel="prev"'
        )
        last = anonymous().get("/projects?page=3&page_size=10")
        assert last["Link"] == '</api/v2.0/projects?page=2&page_size=10>; rel="prev"'
        assert [row["name"] for row in rows_of(last)] == [f"p{n:03d}" for n in range(20, 25)]

    def test_links_lead_through_the_whole_list(self, db: None) -> None:
        make_projects(7)
        seen, where = [], "/api/v2.0/projects?page_size=3&sort=-name"
        while where:
            response = anonymous().get(where)
            seen += [row["name"] for row in rows_of(response)]
            link = response.headers.get("Link", "")
            where = link.partition('>; rel="next"')[0].removeprefix("<") if "next" in link else ""
        assert seen == [f"p{n:03d}" for n in range(6, -1, -1)]

    def test_a_page_past_the_end_is_empty(self, db: None) -> None:
        make_projects(1)
        response = anonymous().get("/projects?page=2000000000&page_size=100")
        assert rows_of(response) == []
        assert response["X-Total-Count"] == "1"

    @pytest.mark.parametrize(
        "query",
        [
            "page=-1",
            "page=x",
            "page=1.5",
            "page=100000000000000000000000",
            "page=2147483649",
            "page_size=-1",
            "page_size=101",
            "page_size=%EF%BC%91",
        ],
    )
    def test_bounds(self, db: None, query: str) -> None:
        response = anonymous().get(f"/projects?{query}")
        assert response.status_code == 422
        message = errors_of(response)[0]["message"]
        assert query.partition("=")[0] in message
        if "=-1" in query:
            assert "must not be negative" in message
        elif query in ("page=100000000000000000000000", "page=2147483649", "page_size=101"):
            assert "must be at most" in message
        else:
            assert "must be a whole number" in message
        assert anonymous().get("/projects?page=0000000000000000001").status_code == 200

    def test_everything_at_once(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """The prompts of Harbor's command line ask so for what there is to choose from."""
        make_projects(12)
        for query in ("page_size=0", "page=0&page_size=0", "page=2&page_size=0&q="):
            response = anonymous().get(f"/projects?{query}")
            assert len(rows_of(response)) == 12, query
            assert (response["X-Total-Count"], "Link" in response) == ("12", False)
        assert len(rows_of(anonymous().get("/projects?page=0&page_size=5"))) == 5
        assert rows_of(anonymous().get("/projects?q=name%3Dx&page_size=0")) == []
        monkeypatch.setattr(pagination, "MAXIMUM_WHOLE", 11)
        response = anonymous().get("/projects?page_size=0")
        assert response.status_code == 422
        assert "page_size" in errors_of(response)[0]["message"]


class TestFilters:
    def test_each_form(self, db: None) -> None:
        make_projects(3)
        make_project("other", is_public=True)

        def names(query: str) -> list[str]:
            return [row["name"] for row in rows_of(anonymous().get(f"/projects?{query}"))]

        assert names("q=name%3Dother") == ["other"]
        assert names("q=name%3D~P00") == ["p000", "p001", "p002"]
        assert names("q=name%3D%7Bp001%20other%7D") == ["other", "p001"]
        assert names("q=Name%3Dp001,public%3Dtrue") == ["p001"]
        assert names("q=creation_time%3D%5B2020-01-01T00:00:00~2020-01-02T00:00:00%5D") == []
        assert names("q=creation_time%3D%5B2020-01-01T00:00:00~%5D&sort=-name")[0] == "p002"
        assert names("name=the") == ["other"]
        assert names("public=false") == []
        assert names("q=name%3D~_0%25") == []

    def test_unknown_keys_and_sorts_are_ignored(self, db: None) -> None:
        make_projects(2)
        response = anonymous().get("/projects?q=colour%3Dred&sort=colour,-password")
        assert [row["name"] for row in rows_of(response)] == ["p000", "p001"]

    @pytest.mark.parametrize(
        "query",
        [
            "q=name",
            "q=name%3D",
            "q=project_id%3Dabc",
            "q=project_id%3D99999999999999999999999",
            "q=project_id%3D~1",
            "q=public%3Dmaybe",
            "q=creation_time%3Dyesterday",
            "q=creation_time%3D%5B0001-01-01T00:00:00%2B14:00~%5D",
            "q=name%3Da%2500",
        ],
    )
    def test_malformed_values(self, db: None, query: str) -> None:
        response = anonymous().get(f"/projects?{query}")
        assert response.status_code == 400
        assert errors_of(response)[0]["code"] == "BAD_REQUEST"

    @pytest.mark.parametrize("route", ["/projects/secret/logs", "/auditlog-exts", "/audit-logs"])
    def test_addresses_of_audit_entries(self, cast: Cast, route: str) -> None:
        cast["admin"].put("/projects/secret", {"metadata": {"public": "true"}})

        def found(query: str) -> list[str]:
            rows = rows_of(cast["admin"].get(f"{route}?q=operation=update,address={query}"))
            return [row["address"] for row in rows]

        assert found("127.0.0.1") == found("~127.0") == ["127.0.0.1"]
        assert found("{127.0.0.1%20::1}") == found("[127.0.0.0~127.0.0.9]") == ["127.0.0.1"]
        assert found("192.0.2.1") == found("2001:DB8::0:1") == found("~foo") == []
        for malformed in ("foo", "[a~b]", "{127.0.0.1%20x}", "127.0.0.1/8", "fe80::1%2525eth0"):
            response = cast["admin"].get(f"{route}?q=address={malformed}")
            assert response.status_code == 400, malformed
            assert errors_of(response)[0]["message"] == "address must be an IP address."

    def test_truth_values_in_every_form(self, cast: Cast) -> None:
        make_project("open", is_public=True)
        make_repository(cast.project, "app")
        for word, shown in {
            **dict.fromkeys(("true", "TRUE", "True", "t", "1", "yes", "on", "Y"), "open"),
            **dict.fromkeys(("false", "False", "f", "0", "no", "off"), "secret"),
            "": "open secret",
        }.items():
            queries = [f"public={word}", f"q=public%3D{word}"] if word else ["public=", "public"]
            for query in queries:
                rows = rows_of(cast["admin"].get(f"/projects?{query}&sort=name"))
                assert [row["name"] for row in rows] == shown.split(), query
        artifacts = "/projects/secret/repositories/app/artifacts"
        for flags in ("with_tag", "with_tag=", "with_label=yes&with_tag=Off&with_accessory=T"):
            assert cast["guest"].get(f"{artifacts}?{flags}").status_code == 200, flags
        for flag in ("with_tag", "with_scan_overview", "latest_in_repository"):
            path = "/projects/secret/artifacts" if flag.startswith("latest") else artifacts
            refused = cast["guest"].get(f"{path}?{flag}=maybe")
            assert refused.status_code == 422
            assert flag in errors_of(refused)[0]["message"]

    def test_a_bad_parameter_is_named(self, db: None) -> None:
        response = anonymous().get("/projects?public=perhaps")
        assert response.status_code == 422
        assert "public" in errors_of(response)[0]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/projects/secret/trash?q=kind%3Dtag", None),
        ("DELETE", "/projects/secret/trash", {"dry_run": True}),
        ("DELETE", "/projects/secret/trash/1?dry_run=true", None),
        ("POST", "/projects/secret/trash/1/restore", {"tag": ["v1"]}),
        ("POST", f"{APP}/tags/v1/restore", {"digest": "sha256:1", "dry_run": True}),
        ("PUT", f"{APP}/tags/v1/expiry", {"expires_after": "2w", "dry_run": True}),
        ("POST", f"{APP}/transfer", {"project": "secret", "repositroy": "x", "path": "y"}),
        ("POST", f"{APP}/transfer?dry_run=true", {"project": "secret", "repository": "x"}),
        ("POST", "/projects/secret/rename?dry_run=1", {"project_name": "other"}),
        ("DELETE", f"{APP}/redirects?name=secret/old", None),
        ("DELETE", "/users/current/sessions?q=current%3Dfalse", None),
        ("POST", "/users/current/tokens", {"name": "t", "scopes": [], "expires": "2027-01-01"}),
    ],
)
def test_what_cannot_be_undone_ignores_nothing(
    cast: Cast, method: str, path: str, body: dict[str, Any] | None
) -> None:
    make_repository(cast.project, "app")
    before = AuditEntry.objects.count()
    response = cast["admin"].call(method, path, body)
    assert response.status_code == 400, response.content
    named = errors_of(response)[0]["message"]
    assert "is not known" in named or "takes no body" in named
    assert AuditEntry.objects.count() == before


class TestNames:
    def test_digits_are_an_id_unless_said_otherwise(self, cast: Cast) -> None:
        named = make_project(str(cast.project.pk))
        by_id = body_of(cast["admin"].get(f"/projects/{cast.project.pk}"))
        assert by_id["name"] == "secret"
        by_name = cast["admin"].get(f"/projects/{cast.project.pk}", X_Is_Resource_Name="true")
        assert body_of(by_name)["project_id"] == named.pk

    @pytest.mark.parametrize("encoded", ["team%252Fapp", "team%2Fapp", "team/app"])
    def test_repository_names_in_every_encoding(self, cast: Cast, encoded: str) -> None:
        make_repository(cast.project, "team/app")
        response = cast["guest"].get(f"/projects/secret/repositories/{encoded}")
        assert body_of(response)["name"] == "secret/team/app"
        listed = cast["guest"].get(f"/projects/secret/repositories/{encoded}/artifacts")
        assert rows_of(listed) == []

    def test_a_repository_named_like_a_route(self, cast: Cast) -> None:
        make_repository(cast.project, "a/artifacts/b")
        response = cast["guest"].get("/projects/secret/repositories/a%252Fartifacts%252Fb")
        assert body_of(response)["name"] == "secret/a/artifacts/b"

    @pytest.mark.parametrize(
        "path", ["/projects/a%00b", "/projects?name=%00", "/projects?q%00=x", "/x%00"]
    )
    def test_nul_is_refused(self, db: None, path: str) -> None:
        response = anonymous().get(path)
        assert response.status_code == 400
        assert errors_of(response)[0]["code"] == "BAD_REQUEST"


class TestCredentials:
    def test_basic_and_bearer(self, cast: Cast) -> None:
        created = create_personal_token(
            cast.users["guest"],
            name="ci",
            scopes=["management:read"],
            actor=actor_of(cast.users["guest"]),
        )
        assert body_of(bearer(created.secret).get("/users/current"))["username"] == "guest"
        by_basic = Caller("x", basic("whoever", created.secret))
        assert body_of(by_basic.get("/users/current"))["username"] == "guest"

    @pytest.mark.parametrize(
        "authorization",
        [
            basic("guest", "wrong-Password-1"),
            basic("nobody", PASSWORD),
            basic("", ""),
            basic("guest", ""),
            basic("robot-secret+ci", "rsd_rob_" + "x" * 36),
            "Bearer rsd_pat_" + "x" * 36,
            "Bearer eyJhbGciOiJub25lIn0.e30.",
            "Bearer",
            "Basic",
            "Basic !!!",
            "Basic Z3Vlc3Q=",
            "Basic //79/A==",
            "Basic Z3UAZXN0OmE=",
            "Negotiate abc",
            "x" * 9000,
        ],
    )
    def test_wrong_credentials_are_401_even_where_anyone_may_look(
        self, cast: Cast, authorization: str
    ) -> None:
        response = Caller("x", authorization).get("/projects")
        assert response.status_code == 401
        assert errors_of(response)[0]["code"] == "UNAUTHORIZED"
        assert response["WWW-Authenticate"].startswith("Basic ")

    def test_no_csrf_token_is_asked_of_basic_requests(self, cast: Cast) -> None:
        owner = cast["owner"]
        owner.client.handler.enforce_csrf_checks = True
        response = owner.put("/projects/secret", {"metadata": {}}, Cookie="sid=1; csrf=2")
        assert response.status_code == 200

    @pytest.mark.parametrize("path", ["/api/version", "/api/v2.0/nothing", "/api/v2.0/projects"])
    def test_no_path_looks_for_a_csrf_token_in_the_body(self, db: None, path: str) -> None:
        client = Client(enforce_csrf_checks=True)
        client.cookies["roadstead_csrf"] = "a" * 32
        body = "x=y"
        form = "application/x-www-form-urlencoded"
        assert client.post(path, body, content_type=form).status_code in (401, 404, 405)

    def test_a_token_is_no_wider_than_its_scopes(self, cast: Cast) -> None:
        user = cast.users["owner"]
        created = create_personal_token(
            user, name="read", scopes=["management:read"], actor=actor_of(user)
        )
        token = bearer(created.secret)
        assert token.get("/projects/secret/members").status_code == 200
        assert token.delete("/projects/secret").status_code == 403
        assert token.post("/projects", {"project_name": "new"}).status_code == 403
        wider = {"name": "more", "scopes": ["management:write"]}
        assert token.post("/users/current/tokens", wider).status_code == 403

    def test_a_token_for_content_cannot_manage(self, cast: Cast) -> None:
        user = cast.users["admin"]
        created = create_personal_token(
            user, name="push", scopes=["repository:push"], actor=actor_of(user)
        )
        token = bearer(created.secret)
        for path in ("/projects", "/users", "/users/current", "/auditlog-exts", "/roles"):
            assert token.get(path).status_code == 403, path

    def test_a_token_of_one_project_sees_no_other(self, cast: Cast) -> None:
        make_project("open", is_public=True)
        user = cast.users["admin"]
        created = create_personal_token(
            user,
            name="one",
            scopes=["management:read", "management:write"],
            project_names=["secret"],
            actor=actor_of(user),
        )
        token = bearer(created.secret)
        assert [row["name"] for row in rows_of(token.get("/projects"))] == ["secret"]
        for path in ("/projects/open", "/projects/missing", "/users"):
            refused = token.get(path)
            message = "The token is limited to these projects: secret."
            assert (refused.status_code, errors_of(refused)[0]["message"]) == (403, message)
        assert token.post("/projects", {"project_name": "new"}).status_code == 403


class TestBodies:
    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"{", 400),
            (b"", 422),
            (b"[]", 422),
            (b'"text"', 422),
            (b"null", 422),
            (b"{}", 422),
            (b'{"username": "a\\u0000b", "password": "Correct-horse-1"}', 400),
            (b'{"username": "\\ud800", "password": "Correct-horse-1"}', 400),
            (b'{"username": ["x"], "password": "Correct-horse-1"}', 422),
            (b'{"username": "' + b"x" * 2000 + b'", "password": "Correct-horse-1"}', 422),
            (b'{"username": "a b", "password": "Correct-horse-1"}', 400),
            (b'{"username": "robot-x", "password": "Correct-horse-1"}', 400),
            (b'{"username": "fine", "password": "short"}', 400),
            (b'{"username": "OUTSIDER", "password": "Correct-horse-1"}', 409),
            (b"[" * 100_000, 400),
            (b'{"a": "' + b"x" * (1 << 20) + b'"}', 413),
        ],
    )
    def test_bad_bodies(self, cast: Cast, raw: bytes, status: int) -> None:
        response = cast["admin"].call("POST", "/users", raw=raw)
        assert response.status_code == status, response.content
        assert errors_of(response)

    def test_a_body_must_say_that_it_is_json(self, cast: Cast) -> None:
        body = json.dumps({"username": "x", "password": PASSWORD}).encode()
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            response = cast["admin"].call("POST", "/users", raw=body, content_type=content_type)
            assert response.status_code == 415
            assert "application/json" in errors_of(response)[0]["message"]

    def test_the_faulty_field_is_named(self, cast: Cast) -> None:
        response = cast["owner"].post("/projects/secret/members", {"role_id": "x"})
        assert response.status_code == 422
        assert "role_id" in errors_of(response)[0]["message"]

    @pytest.mark.parametrize(
        ("method", "path", "body", "named"),
        [
            ("POST", "/projects", {}, "project_name"),
            ("POST", "/projects", {"project_name": None}, "project_name"),
            ("POST", "/projects", {"project_name": " spaced "}, "project_name"),
            ("POST", "/projects", {"project_name": "p", "registry_id": 3}, "registry_id"),
            ("PUT", "/projects/secret", {"registry_id": 3}, "registry_id"),
            ("POST", "/projects/secret/rename", {"project_name": "renamed "}, "project_name"),
            ("POST", "/labels", {"name": " l", "scope": "g"}, "name"),
            ("POST", "/labels", {"name": "  ", "scope": "g"}, "name"),
        ],
    )
    def test_what_cannot_be_kept_as_it_is_sent_is_refused(
        self, cast: Cast, method: str, path: str, body: dict[str, Any], named: str
    ) -> None:
        response = cast["admin"].call(method, path, body)
        assert response.status_code == 400, response.content
        assert errors_of(response)[0]["message"].startswith(named)


class TestErrors:
    def test_unknown_methods(self, cast: Cast) -> None:
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
            response = cast["admin"].call(method, "/projects")
            assert response.status_code == 405, method
            assert errors_of(response)[0]["code"] == "METHOD_NOT_ALLOWED"
            assert response["Allow"] == "GET, HEAD, POST"

    def test_a_defect_is_500_without_details(
        self, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_down() -> None:
            raise RuntimeError("a secret detail")

        monkeypatch.setattr(system, "health", break_down)
        response = anonymous().get("/health")
        assert response.status_code == 500
        assert errors_of(response) == [{"code": "UNKNOWN", "message": "internal server error"}]

    def test_a_lost_database_is_503(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_down() -> None:
            raise OperationalError("server closed the connection")

        monkeypatch.setattr(system, "health", break_down)
        response = anonymous().get("/health")
        assert response.status_code == 503
        assert response["Retry-After"] == "2"
        assert "server closed" not in response.content.decode()

    @pytest.mark.django_db(transaction=True)
    def test_a_read_only_database_is_503(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "health", lambda: raw.execute("CREATE TABLE never ()"))
        with read_only_database():
            response = anonymous().get("/health")
        assert (response.status_code, response["Retry-After"]) == (503, "5")
        assert "CREATE" not in response.content.decode()

    def test_a_value_the_database_refuses_is_400(
        self, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(system, "health", lambda: raw.fetch_one("SELECT 'x'::text::inet"))
        response = anonymous().get("/health")
        assert response.status_code == 400
        assert errors_of(response)[0]["code"] == "BAD_REQUEST"
        assert "inet" not in response.content.decode()

    @pytest.mark.parametrize(
        ("bound", "statement"),
        [
            ("statement_timeout", "SELECT pg_sleep(5)"),
            ("lock_timeout", "LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE"),
        ],
    )
    def test_a_database_that_takes_too_long_is_503(
        self, db: None, monkeypatch: pytest.MonkeyPatch, bound: str, statement: str
    ) -> None:
        def look() -> None:
            with connection.cursor() as cursor, transaction.atomic():
                cursor.execute(f"SET LOCAL {bound} = '50ms'")
                cursor.execute(statement)

        monkeypatch.setattr(system, "health", look)
        with table_held_by_another_session():
            response = anonymous().get("/health")
        assert response.status_code == 503
        assert response["Retry-After"] == "2"

    @pytest.mark.parametrize("path", ["/", "/nothing", "/static/x.css", "/api", "/a%0Ab"])
    def test_a_path_outside_the_api(self, path: str) -> None:
        response = Client().get(path, headers={"X-Request-Id": "r-1"})
        assert response.status_code == 404
        assert errors_of(response) == [{"code": "NOT_FOUND", "message": "Not found."}]
        assert response["X-Request-Id"] == "r-1"

    def test_an_impossible_host(self, caplog: pytest.LogCaptureFixture) -> None:
        response = Client().get("/api/version", headers={"Host": "a/b"})
        assert response.status_code == 400
        assert errors_of(response)[0]["code"] == "BAD_REQUEST"
        assert caplog.records == []

    def test_a_failure_outside_every_view(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def break_down(*_: object, **__: object) -> None:
            raise RuntimeError("a secret detail")

        monkeypatch.setattr(system, "JsonResponse", break_down)
        response = Client(raise_request_exception=False).get("/api/version")
        assert response.status_code == 500
        assert errors_of(response) == [{"code": "UNKNOWN", "message": "internal server error"}]

    def test_health_says_what_is_broken(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> None:
            raise OSError("disk on fire")

        monkeypatch.setattr(system, "drivers", refuse)
        body = body_of(anonymous().get("/health"))
        assert body["status"] == "unhealthy"
        states = {row["name"]: row["status"] for row in body["components"]}
        assert states["storage"] == "unhealthy"
        assert states["database"] == "healthy"
        assert "fire" not in json.dumps(body)


def test_times() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC)
    assert timestamp(moment) == "2026-01-02T03:04:05.678Z"
    assert timestamp(None) == NEVER == "0001-01-01T00:00:00.000Z"


def test_general_information_is_shorter_for_strangers(cast: Cast) -> None:
    stranger = body_of(anonymous().get("/systeminfo"))
    assert stranger == {
        "auth_mode": "db_auth",
        "primary_auth_mode": False,
        "self_registration": False,
    }
    member = body_of(cast["guest"].get("/systeminfo"))
    assert member["harbor_version"].startswith("v2.")
    assert member["registry_url"] == "testserver"


def test_own_permissions(cast: Cast) -> None:
    path = f"/users/current/permissions?scope=/project/{cast.project.pk}"
    absolute = json.loads(cast["guest"].get(path).content)
    assert {
        "resource": f"/project/{cast.project.pk}/repository",
        "action": "pull",
    } in absolute
    rows = json.loads(cast["guest"].get(f"{path}&relative=true").content)
    assert {"resource": "repository", "action": "pull"} in rows
    assert {"resource": "repository", "action": "push"} not in rows
    assert json.loads(cast["outsider"].get(path).content) == []
    assert json.loads(cast["guest"].get("/users/current/permissions").content) == []
    assert cast["guest"].get("/users/current/permissions?scope=/nowhere").status_code == 400
