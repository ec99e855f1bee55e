"""The audit log of a project over the management API."""

import pytest

from tests.core.api.cast import Cast, make_cast, rows_of
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
        ("resource_type%3Duser", 2),
        ("resource%3Doutsider", 2),
        ("username%3Downer", 2),
        ("username%3Dnobody", 0),
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
