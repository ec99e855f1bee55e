"""Pages of a list, put together, are the list: from whichever end and in whatever order."""

import json
from datetime import timedelta

import pytest

from core.api import pagination
from core.audit.models import AuditEntry
from core.common.clock import now
from tests.core.api.cast import Cast, file_of, rows_of
from tests.factories.projects import make_repository

pytestmark = pytest.mark.django_db

ENTRIES = 23


@pytest.fixture
def rows(cast: Cast) -> Cast:
    """Repositories, and entries of four days of which many share their instant."""
    at = now()
    for number in range(ENTRIES):
        make_repository(cast.project, f"r{number:02d}")
        AuditEntry.objects.create(
            recorded_at=at - timedelta(hours=12 * (number // 3)),
            action="tag.created" if number % 2 else "artifact.pulled",
            outcome="success",
            actor_kind="user",
            actor_label="x" if number % 3 else "y",
            project_id=cast.project.pk if number % 2 else None,
            target_kind="tag",
            target_label=str(number % 5),
        )
    return cast


def walk(cast: Cast, path: str, size: int) -> list[int]:
    """Return the ids of all pages, and expect each to tell the same total."""
    found: list[int] = []
    page = 1
    while True:
        mark = "&" if "?" in path else "?"
        answer = cast["admin"].get(f"{path}{mark}page_size={size}&page={page}")
        shown = rows_of(answer)
        found += [row["id"] for row in shown]
        if not shown:
            assert int(answer["X-Total-Count"]) == len(found), path
            return found
        assert len(shown) == size or len(found) == int(answer["X-Total-Count"])
        page += 1


@pytest.mark.parametrize(
    "path",
    [
        "/repositories",
        "/repositories?sort=-update_time",
        "/repositories?q=name%3D~r1",
        "/auditlog-exts",
        "/auditlog-exts?sort=op_time",
        "/auditlog-exts?sort=resource,-op_time",
        "/auditlog-exts?q=operation%3Dpull",
        "/auditlog-exts?q=username%3Dy",
        "/auditlog-exts?q=resource_type%3Dtag,operation_result%3Dtrue&sort=op_time",
        "/projects/secret/auditlog-exts",
        "/projects/secret/auditlog-exts?q=operation%3Dcreate",
    ],
)
def test_pages_are_the_list(rows: Cast, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of pages that small, those in the middle are found in another way than the first.
    monkeypatch.setattr(pagination, "SORTED_WHOLE_FROM", 5)
    whole = walk(rows, path, 100)
    assert len(whole) == len(set(whole)) > 3
    for size in (1, 2, 7):
        assert walk(rows, path, size) == whole
    exported = rows["admin"].get(f"{path}{'&' if '?' in path else '?'}format=json")
    assert [row["id"] for row in json.loads(file_of(exported))] == whole


def test_totals_of_the_log_are_what_the_caller_sees(rows: Cast) -> None:
    """Counts that are kept must tell nobody of entries in projects that are hidden from them."""
    entries = AuditEntry.objects.filter(project_id=rows.project.pk)
    assert rows["owner"].get("/auditlog-exts")["X-Total-Count"] == str(entries.count())
    assert rows["outsider"].get("/auditlog-exts")["X-Total-Count"] == "0"
    other = f"/auditlog-exts?q=project_id%3D{rows.project.pk}"
    assert rows["outsider"].get(other)["X-Total-Count"] == "0"
    assert rows["admin"].get(other)["X-Total-Count"] == str(entries.count())
