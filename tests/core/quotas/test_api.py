"""Quotas over HTTP."""

from typing import Any

import pytest

from core.audit.models import AuditEntry
from core.quotas.models import Quota
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import make_blob
from tests.factories.projects import make_project
from tests.factories.quotas import limit


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


def test_a_quota_is_read_changed_and_recorded(cast: Cast) -> None:
    make_blob(cast.project, b"123456")
    quota = Quota.objects.get()
    path = f"/quotas/{quota.pk}"
    assert cast["admin"].put(path, {"hard": {"storage": 1000}}).status_code == 200
    shown = body_of(cast["admin"].get(path))
    assert shown.pop("creation_time") < shown.pop("update_time")
    assert shown == {
        "id": quota.pk,
        "ref": {"id": cast.project.pk, "name": "secret", "owner_name": "system"},
        "hard": {"storage": 1000},
        "used": {"storage": 6},
    }
    entry = AuditEntry.objects.get(action="quotas.quota.updated")
    assert entry.detail == {"hard_bytes": 1000, "hard_bytes_before": -1}
    assert (entry.actor_label, entry.project_id) == ("boss", cast.project.pk)


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 422, "hard"),
        ({"hard": {}}, 400, "storage"),
        ({"hard": {"count": 5}}, 400, "storage"),
        ({"hard": {"storage": 5, "count": 5}}, 400, "storage"),
        ({"hard": {"storage": 0}}, 400, "hard.storage"),
        ({"hard": {"storage": -2}}, 422, "hard.storage"),
        ({"hard": {"storage": "much"}}, 422, "hard.storage"),
        ({"hard": {"storage": 2**63}}, 422, "hard.storage"),
        ({"hard": 5}, 422, "hard"),
    ],
)
def test_bad_limits(cast: Cast, body: dict[str, Any], status: int, named: str) -> None:
    response = cast["admin"].put(f"/quotas/{Quota.objects.get().pk}", body)
    assert response.status_code == status, response.content
    assert named in errors_of(response)[0]["message"]
    assert Quota.objects.get().hard_bytes == -1


def test_the_list_is_ordered_and_filtered(cast: Cast) -> None:
    for name, content, hard in (("a", b"1", 30), ("b", b"123", 10), ("c", b"12", -1)):
        project = make_project(name)
        make_blob(project, content)
        limit(project, hard)

    def names(query: str) -> list[str]:
        response = cast["admin"].get(f"/quotas{query}")
        return [row["ref"]["name"] for row in rows_of(response)]

    assert names("?sort=hard.storage") == ["secret", "c", "b", "a"]
    assert names("?sort=-used.storage") == ["b", "c", "a", "secret"]
    assert names("") == names("/") == ["c", "b", "a", "secret"]
    assert names("?sort=used.storage&page=2&page_size=3") == ["b"]
    assert names(f"?reference=project&reference_id={cast.project.pk}") == ["secret"]
    assert names("?reference=user") == names("?page=9") == []
    assert names("?q=name=~SEC") == ["secret"]
    assert cast["admin"].get("/quotas?reference_id=secret").status_code == 400
    assert cast["admin"].get("/quotas/999999").status_code == 404


@pytest.mark.parametrize(
    ("caller", "wanted", "hard"),
    [("admin", 5000, 5000), ("admin", -1, -1), ("admin", 0, -1), ("owner", 5000, -1)],
)
def test_only_administrators_choose_the_limit_of_a_new_project(
    cast: Cast, caller: str, wanted: int, hard: int
) -> None:
    body = {"project_name": "new", "storage_limit": wanted}
    assert cast[caller].post("/projects", body).status_code == 201
    assert Quota.objects.get(project__name="new").hard_bytes == hard


def test_the_summary_shows_the_quota_to_those_who_may_read_it(cast: Cast) -> None:
    make_blob(cast.project, b"123456")
    limit(cast.project, 1000)
    quota = {"hard": {"storage": 1000}, "used": {"storage": 6}}
    for caller, shown in (("guest", quota), ("limited", quota), ("project_robot", None)):
        assert body_of(cast[caller].get("/projects/secret/summary")).get("quota") == shown
