"""CVE allowlists over the management API."""

from typing import Any

import pytest

from core.allowlists.models import CVEAllowlist
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of

SYSTEM_LIST = "/system/CVEAllowlist"
ITEMS = [{"cve_id": "CVE-2026-1"}, {"cve_id": "CVE-2026-2"}]


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_the_list_of_the_system(cast: Cast) -> None:
    never = "0001-01-01T00:00:00.000Z"
    assert body_of(cast["outsider"].get(SYSTEM_LIST)) == {
        "items": [],
        "creation_time": never,
        "update_time": never,
    }
    sent = {"id": 9, "expires_at": 1893456000, "items": [*reversed(ITEMS)]}
    answer = cast["admin"].put(SYSTEM_LIST, sent)
    assert (answer.status_code, answer.content) == (200, b"")
    shown = body_of(cast["outsider"].get(SYSTEM_LIST))
    assert shown.pop("creation_time") == shown.pop("update_time") > "2026"
    assert shown == {
        "id": CVEAllowlist.objects.get().pk,
        "expires_at": 1893456000,
        "items": ITEMS,
    }
    cast["admin"].put(SYSTEM_LIST, {"expires_at": None, "items": None})
    emptied = body_of(cast["outsider"].get(SYSTEM_LIST))
    assert emptied["items"] == []
    assert "expires_at" not in emptied


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"items": [{"cve_id": "CVE-1"}, {"cve_id": "CVE-1"}]}, 400, "items: CVE-1 stands there"),
        ({"items": [{"cve_id": "CVE 1"}]}, 400, "items: 'CVE 1'"),
        ({"items": [{}]}, 422, "items[0].cve_id"),
        ({"items": "CVE-1"}, 422, "items"),
        ({"expires_at": 0}, 422, "expires_at"),
        ({"expires_at": "soon"}, 422, "expires_at"),
        ({"expires_at": 253402300800}, 422, "expires_at"),
    ],
)
def test_bad_lists_name_the_field(
    cast: Cast, body: dict[str, Any], status: int, message: str
) -> None:
    response = cast["admin"].put(SYSTEM_LIST, body)
    assert response.status_code == status
    assert message in errors_of(response)[0]["message"]
    assert not CVEAllowlist.objects.exists()


def test_projects_show_the_list_that_counts(cast: Cast) -> None:
    cast["admin"].put(SYSTEM_LIST, {"items": ITEMS[:1]})
    owner = cast["owner"]
    changed = owner.put("/projects/secret", {"cve_allowlist": {"items": ITEMS[1:]}, "public": True})
    assert changed.status_code == 200

    def shown(actor: str) -> list[dict[str, str]]:
        (row,) = rows_of(cast[actor].get("/projects?name=secret"))
        one = body_of(cast[actor].get("/projects/secret"))
        assert row["cve_allowlist"] == one["cve_allowlist"]
        assert one["cve_allowlist"]["project_id"] == cast.project.pk
        found: list[dict[str, str]] = one["cve_allowlist"]["items"]
        return found

    # The system's list is for those who are signed in, wherever it is shown.
    assert shown("guest") == shown("outsider") == ITEMS[:1]
    assert shown("anonymous") == []
    owner.put("/projects/secret", {"metadata": {"reuse_sys_cve_allowlist": "false"}})
    assert shown("guest") == shown("anonymous") == ITEMS[1:]
    owner.put("/projects/secret", {"metadata": {"auto_scan": "true"}})
    assert shown("guest") == ITEMS[1:]


def test_lists_of_projects_show_the_first_items(cast: Cast) -> None:
    items = [{"cve_id": f"CVE-2026-{number:05}"} for number in range(101)]
    cast["admin"].put(SYSTEM_LIST, {"items": items})
    (row,) = rows_of(cast["guest"].get("/projects?name=secret"))
    (found,) = body_of(cast["guest"].get("/search?q=secret"))["project"]
    assert row["cve_allowlist"]["items"] == found["cve_allowlist"]["items"] == items[:100]
    assert body_of(cast["guest"].get("/projects/secret"))["cve_allowlist"]["items"] == items
    assert body_of(cast["guest"].get(SYSTEM_LIST))["items"] == items
