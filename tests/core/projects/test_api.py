"""The audit log and the metadata of a project over the management API."""

from typing import Any
from urllib.parse import urlencode

import pytest

from core.audit.services import record
from core.audit.types import Outcome
from core.common.origin import Origin
from core.projects.api import audit_filters
from core.projects.api.audit_filters import operation_of
from core.rbac.types import Actor
from tests.architecture.source import table_rows
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.projects import make_project


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_entries_have_harbors_shape_and_more(cast: Cast) -> None:
    cast["owner"].put("/projects/secret", {"metadata": {"public": "true"}}, User_Agent="ci/1")
    response = cast["owner"].get("/projects/secret/auditlog-exts?q=resource_type%3Dproject")
    (row,) = rows_of(response)
    assert row["username"] == "owner"
    assert row["resource"] == "secret"
    assert row["resource_type"] == "project"
    assert row["operation"] == "update"
    assert row["operation_description"] == "project secret updated"
    assert row["operation_result"] is True
    assert row["op_time"].endswith("Z")
    assert row["address"] == "127.0.0.1"
    assert row["user_agent"] == "ci/1"
    assert row["detail"] == {"public": True}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("operation%3Dcreate", 2),
        ("operation%3Ddelete", 1),
        ("operation%3D%7Bcreate%20delete%7D", 3),
        ("operation%3D~remov", 1),
        ("resource_type%3Dmember", 2),
        ("resource%3Doutsider", 2),
        ("username%3Downer", 2),
        ("username%3Dnobody", 0),
        ("operation_result%3Dtrue", 3),
        ("operation_result%3Dfalse", 0),
        ("op_time%3D%5B2020-01-01T00:00:00~%5D", 3),
        ("op_time%3D%5B~2020-01-01T00:00:00%5D", 0),
    ],
)
def test_filters(cast: Cast, query: str, count: int) -> None:
    owner = cast["owner"]
    wanted = {"role_id": 3, "member_user": {"username": "outsider"}}
    added = owner.post("/projects/secret/members", wanted)
    owner.delete(added["Location"])
    response = owner.get(f"/projects/secret/auditlog-exts?q={query}")
    assert len(rows_of(response)) == count


def test_a_failed_login_is_found_by_its_result_and_by_the_name_that_was_tried(cast: Cast) -> None:
    for outcome in (Outcome.SUCCESS, Outcome.DENIED):
        record(
            "user.login",
            Actor.anonymous(Origin.internal()),
            target_kind="user",
            target_label="owner",
            outcome=outcome,
        )
    for query in ("operation_result%3Dfalse", "username%3Downer,operation_result%3D0"):
        (row,) = rows_of(cast["admin"].get(f"/auditlog-exts?q={query}"))
        assert (row["resource"], row["operation_result"]) == ("owner", False)
    assert len(rows_of(cast["admin"].get("/auditlog-exts?q=username%3D~own"))) == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("op_time%3Dyesterday", "op_time must be a time such as 2026-01-31T13:45:00."),
        ("operation_result%3Dmaybe", "operation_result must be true or false."),
        ("operation_result%3D~f", "q: operation_result takes true or false."),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_as_it_was_written(
    cast: Cast, query: str, message: str
) -> None:
    response = cast["admin"].get(f"/auditlog-exts?q={query}")
    assert response.status_code == 400
    assert errors_of(response)[0]["message"] == message


def test_event_types_are_what_the_log_records(cast: Cast) -> None:
    """Each is the operation and the type of some action, as the entries of the log show them."""
    recorded = {
        f"{operation_of(action)}_{target}"
        for action, _when, targets in table_rows("audit-actions.md", "Actions")
        for target in targets.split(", ")
    }
    response = cast["guest"].get("/auditlog-exts/events")
    listed = [row["event_type"] for row in rows_of(response)]
    assert len(listed) == len(set(listed)) == 17
    assert set(listed) <= recorded, set(listed) - recorded
    assert {"pull_artifact", "create_member", "update_configuration"} <= set(listed)
    assert "X-Total-Count" not in response.headers
    added = {"role_id": 3, "member_user": {"username": "outsider"}}
    assert cast["owner"].post("/projects/secret/members", added).status_code == 201
    (row, *_) = rows_of(cast["owner"].get("/projects/secret/auditlog-exts"))
    assert f"{row['operation']}_{row['resource_type']}" == "create_member"
    assert row["detail"]["holder"] == "user"


def test_the_global_log_shows_only_what_the_caller_may_read(cast: Cast) -> None:
    other = make_project("other")
    cast["admin"].put(f"/projects/{other.name}", {"metadata": {"public": "true"}})
    cast["owner"].put("/projects/secret", {"metadata": {"public": "true"}})

    def resources(actor: str) -> set[str]:
        rows = rows_of(cast[actor].get("/auditlog-exts?q=resource_type%3Dproject"))
        return {row["resource"] for row in rows}

    assert resources("admin") == {"other", "secret"}
    assert resources("owner") == {"secret"}
    assert resources("guest") == set()
    assert resources("outsider") == set()
    assert resources("project_robot") == set()
    assert resources("system_robot") == {"other", "secret"}


@pytest.mark.parametrize("few", [0, audit_filters._FEW])
def test_parts_of_resources_are_found_where_there_are_many_entries_and_few(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(audit_filters, "_FEW", few)
    for name in ("another-secret", "public"):
        cast["admin"].put(f"/projects/{make_project(name).name}", {"metadata": {"public": "true"}})
    cast["owner"].put("/projects/secret", {"metadata": {"public": "true"}})

    def resources(actor: str, *texts: str) -> set[str]:
        terms = ",".join(["resource_type=project", *[f"resource=~{text}" for text in texts]])
        rows = rows_of(cast[actor].get(f"/auditlog-exts?{urlencode({'q': terms})}"))
        return {row["resource"] for row in rows}

    assert resources("admin", "ECRE") == {"another-secret", "secret"}
    assert resources("admin", "ecre", "other-") == {"another-secret"}
    assert resources("owner", "ecre") == {"secret"}
    assert resources("owner", "another") == set()
    assert resources("outsider", "ecre") == set()


METADATA = "/projects/secret/metadatas/"


def test_metadata_from_beginning_to_end(cast: Cast) -> None:
    owner = cast["owner"]
    new = {"public": "false", "reuse_sys_cve_allowlist": "true"}
    assert body_of(owner.get(METADATA)) == new
    added = owner.post(METADATA, {"severity": "High"})
    assert (added.status_code, added.content) == (200, b"")
    assert body_of(owner.get(f"{METADATA}severity")) == {"severity": "high"}
    assert owner.post(METADATA, {"severity": "low"}).status_code == 409
    assert owner.put(f"{METADATA}severity", {"severity": "low"}).status_code == 200
    assert owner.put(f"{METADATA}public", {"public": "true"}).status_code == 200
    assert body_of(cast["anonymous"].get("/projects/secret"))["metadata"] == {
        **new,
        "public": "true",
        "severity": "low",
    }
    assert owner.delete(f"{METADATA}severity").status_code == 200
    for call in (owner.get, owner.delete):
        assert call(f"{METADATA}severity").status_code == 404
    assert owner.put(f"{METADATA}severity", {"severity": "low"}).status_code == 404
    assert owner.delete(f"{METADATA}public").status_code == 400
    assert cast["maintainer"].get(METADATA).status_code == 200
    assert owner.get("/projects/missing/metadatas/").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "", {}, 400, "exactly one"),
        ("POST", "", {"auto_scan": "true", "prevent_vul": "true"}, 400, "exactly one"),
        ("POST", "", {"auto_scan": "perhaps"}, 400, "metadata.auto_scan must be"),
        ("POST", "", {"colour": "red"}, 400, "metadata.colour is not known"),
        ("POST", "", {"auto_scan": None}, 422, "auto_scan"),
        ("POST", "", {"auto_scan": True}, 422, "auto_scan"),
        ("POST", "", ["auto_scan"], 422, "object"),
        ("PUT", "public", {"reuse_sys_cve_allowlist": "true"}, 400, "the path has"),
        ("PUT", "public", {"public": "yes"}, 400, "metadata.public must be"),
    ],
)
def test_bad_metadata(
    cast: Cast, method: str, path: str, body: Any, status: int, message: str
) -> None:
    response = cast["owner"].call(method, METADATA + path, body)
    assert response.status_code == status
    assert message in errors_of(response)[0]["message"]
