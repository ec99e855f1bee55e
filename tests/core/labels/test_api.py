"""Labels over the management API."""

from typing import Any

import pytest

from core.labels.models import Label
from tests.core.api.cast import Caller, Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.labels import make_label
from tests.factories.projects import make_project


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def body(**members: Any) -> dict[str, Any]:
    return {"name": "stable", "description": "Ready", "color": "#0065AB", **members}


def names(caller: Caller, query: str) -> list[str]:
    return [row["name"] for row in rows_of(caller.get(f"/labels?{query}"))]


@pytest.mark.parametrize(("actor", "scope"), [("admin", "g"), ("maintainer", "p")])
def test_a_label_from_beginning_to_end(cast: Cast, actor: str, scope: str) -> None:
    caller = cast[actor]
    where = {"scope": scope, **({"project_id": cast.project.pk} if scope == "p" else {})}
    query = "&".join(f"{key}={value}" for key, value in where.items())
    created = caller.post("/labels", body(**where))
    assert (created.status_code, created.content) == (201, b"")
    (row,) = rows_of(caller.get(f"/labels?{query}"))
    assert created["Location"] == f"/api/v2.0/labels/{row['id']}"
    times = {name: row[name] for name in ("creation_time", "update_time")}
    assert row == {"id": row["id"], **body(**where), **times}
    label = f"/labels/{row['id']}"
    assert body_of(caller.get(label)) == row
    assert caller.post("/labels", body(**where)).status_code == 409

    # Clients of Harbor leave empty texts out.
    assert caller.put(label, {"name": "old", **where}).status_code == 200
    changed = body_of(caller.get(label))
    assert (changed["name"], "description" in changed, "color" in changed) == ("old", False, False)
    make_label("taken", project=cast.project if scope == "p" else None)
    assert caller.put(label, {"name": "taken"}).status_code == 409

    assert caller.delete(label).status_code == 200
    assert caller.delete(label).status_code == (404 if actor == "admin" else 403)
    assert names(caller, query) == ["taken"]


def test_lists_are_ordered_and_filtered(cast: Cast) -> None:
    for name in ("b%", "a_c", "B"):
        make_label(name, project=cast.project)
    make_label("global")
    guest, project = cast["guest"], f"project_id={cast.project.pk}"
    assert names(guest, f"scope=p&{project}&sort=id") == ["b%", "a_c", "B"]
    assert names(guest, f"scope=p&{project}&sort=-id&page_size=2") == ["B", "a_c"]
    assert names(guest, f"{project}&name=b&sort=id") == ["b%", "B"]
    assert names(guest, f"{project}&name=%25") == ["b%"]
    assert names(guest, f"{project}&name=_") == ["a_c"]
    assert names(guest, f"{project}&q=name%3Da_c") == ["a_c"]
    assert names(guest, f"scope=g&{project}") == ["global"]
    assert names(guest, "") == ["global"]
    assert names(guest, "page=9") == []


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("scope=x", 400, "scope"),
        ("scope=p", 400, "project_id"),
        ("scope=p&project_id=0", 400, "project_id"),
        ("scope=p&project_id=secret", 400, "project_id"),
        ("project_id=-1", 400, "project_id"),
        ("project_id=" + "9" * 30, 400, "project_id"),
        ("scope=p&project_id=999999", 404, "project"),
    ],
)
def test_bad_queries_name_the_field(cast: Cast, query: str, status: int, field: str) -> None:
    refused = cast["admin"].get(f"/labels?{query}")
    assert refused.status_code == status
    assert field in errors_of(refused)[0]["message"]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": None}, 422, "name"),
        ({"name": " "}, 400, "name"),
        ({"name": "x" * 129}, 422, "name"),
        ({"name": "a\tb"}, 400, "name"),
        ({"description": "x" * 1025}, 422, "description"),
        ({"color": "red"}, 400, "color"),
        ({"color": "#12345g"}, 400, "color"),
        ({"scope": "x"}, 400, "scope"),
        ({"scope": ""}, 400, "scope"),
        ({"project_id": 7}, 400, "project_id"),
        ({"scope": "p"}, 400, "project_id"),
        ({"scope": "p", "project_id": -1}, 422, "project_id"),
        ({"scope": "p", "project_id": 10**30}, 422, "project_id"),
        ({"scope": "p", "project_id": 999999}, 404, "project"),
    ],
)
def test_bad_bodies_name_the_field(
    cast: Cast, changes: dict[str, Any], status: int, field: str
) -> None:
    refused = cast["admin"].post("/labels", {**body(scope="g"), **changes})
    assert refused.status_code == status
    assert field in errors_of(refused)[0]["message"]
    assert not Label.objects.exists()


def test_scope_and_project_stay(cast: Cast) -> None:
    label = make_label(project=cast.project)
    for changes in ({"scope": "g"}, {"project_id": make_project("other").pk}):
        refused = cast["owner"].put(f"/labels/{label.pk}", {"name": "x", **changes})
        assert refused.status_code == 400
        assert next(iter(changes)) in errors_of(refused)[0]["message"]
    same = {"name": "x", "scope": "p", "project_id": cast.project.pk, "id": label.pk}
    assert cast["owner"].put(f"/labels/{label.pk}", same).status_code == 200
    assert (
        cast["owner"].put(f"/labels/{label.pk}", {"name": "y", "project_id": 0}).status_code == 200
    )


def test_hidden_labels_look_like_missing_ones(cast: Cast) -> None:
    hidden = make_label(project=make_project("hidden"))
    for actor in ("owner", "outsider", "anonymous", "project_robot", "system_robot"):
        for method in ("GET", "PUT", "DELETE"):
            sent = {"name": "x"} if method == "PUT" else None
            answers = [
                cast[actor].call(method, f"/labels/{label_id}", sent)
                for label_id in (hidden.pk, 999999)
            ]
            assert answers[0].status_code == answers[1].status_code >= 400, (actor, method)
            assert answers[0].content == answers[1].content
        lists = [
            cast[actor].get(f"/labels?scope=p&project_id={project_id}")
            for project_id in (hidden.project_id, 999999)
        ]
        assert lists[0].status_code == lists[1].status_code >= 400
        assert lists[0].content == lists[1].content
    assert Label.objects.get().name == "stable"


def test_anonymous_visitors_see_labels_of_public_projects_only(cast: Cast) -> None:
    public = make_project("open", is_public=True)
    shown, everyones = make_label("shown", project=public), make_label("everyones")
    visitor = cast["anonymous"]
    assert names(visitor, f"project_id={public.pk}") == ["shown"]
    assert body_of(visitor.get(f"/labels/{shown.pk}"))["name"] == "shown"
    assert visitor.get("/labels").status_code == 401
    assert visitor.get("/labels?scope=g").status_code == 401
    assert visitor.get(f"/labels/{everyones.pk}").status_code == 401
    assert visitor.get(f"/labels?project_id={cast.project.pk}").status_code == 401
    assert visitor.post("/labels", body(scope="g")).status_code == 401
