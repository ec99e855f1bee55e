"""What later operations answer: what a fresh installation shows, or a refusal that says why."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest
from core.later.table import LATER
from core.later.types import Answer
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import make_image, storage_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


SHOWN: list[tuple[str, Any]] = [
    ("/projects/secret/scanner", {}),
    ("/replication/adapterinfos", {}),
    ("/export/cve/executions", {"items": []}),
    ("/schedules/all/paused", {"paused": False}),
    ("/scans/all/metrics", {"total": 0, "completed": 0, "metrics": {}, "ongoing": False}),
    (
        "/system/gc/schedule",
        {
            "schedule": {"type": "None"},
            "creation_time": "0001-01-01T00:00:00.000Z",
            "update_time": "0001-01-01T00:00:00.000Z",
        },
    ),
]


@pytest.mark.parametrize(("path", "body"), SHOWN, ids=[path for path, _ in SHOWN])
def test_reads_show_a_fresh_installation(cast: Cast, path: str, body: Any) -> None:
    assert body_of(cast["admin"].get(path)) == body


def test_lists_are_pages_without_rows(cast: Cast) -> None:
    response = cast["admin"].get("/replication/policies?page=3&page_size=5")
    assert rows_of(response) == []
    assert response["X-Total-Count"] == "0"
    assert errors_of(cast["admin"].get("/registries?page_size=101"))[0]["code"] == (
        "UNPROCESSABLE_ENTITY"
    )
    assert rows_of(cast["admin"].get("/replication/adapters")) == []


def test_schedules_are_paused_together_or_not_at_all(cast: Cast) -> None:
    assert cast["admin"].get("/schedules/ALL/paused").status_code == 200
    response = cast["admin"].get("/schedules/gc/paused")
    assert response.status_code == 400
    assert errors_of(response)[0]["message"] == "job_type must be all."


def test_refusals_name_the_feature(cast: Cast) -> None:
    response = cast["admin"].post("/registries", {"name": "hub"})
    assert response.status_code == 501
    assert errors_of(response) == [
        {
            "code": "NOT_IMPLEMENTED",
            "message": "Replication: this feature is not part of this version.",
        }
    ]


def test_the_security_summary_counts_what_is_not_scanned(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1", path="team/app")
    summary = body_of(cast["admin"].get("/security/summary"))
    assert summary["total_artifact"] == Manifest.objects.count() > 0
    assert summary["scanned_cnt"] == summary["total_vuls"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/retentions", {}, 400),
        ("/retentions", {"scope": {"ref": None}}, 400),
        ("/retentions", {"scope": {"ref": "1"}}, 404),
        ("/retentions", {"scope": {"ref": True}}, 404),
        ("/retentions", {"scope": {"ref": 1 << 80}}, 404),
        ("/export/cve", {"projects": []}, 400),
        ("/export/cve", {"projects": {"0": 1}}, 400),
        ("/export/cve", [], 400),
    ],
)
def test_a_body_must_name_its_project(cast: Cast, path: str, body: Any, status: int) -> None:
    assert cast["admin"].post(path, body).status_code == status
    assert cast["owner"].post(path, body).status_code == 403


def test_what_the_path_names_must_exist(cast: Cast) -> None:
    assert cast["admin"].get("/projects/missing/scanner").status_code == 404
    path = "/projects/secret/repositories/gone/artifacts/v1/scan"
    assert cast["admin"].post(path).status_code == 404
    assert cast["outsider"].post(path).status_code == 403


def test_the_table_says_only_what_it_needs_to() -> None:
    for feature in LATER:
        assert feature.name[0].isupper()
        for later in feature.operations:
            assert not later.shown or later.answer is Answer.SHOWN
            assert later.method == "GET" or later.answer is Answer.REFUSED


def test_a_secret_for_the_command_line_is_asked_for_by_its_owner(cast: Cast) -> None:
    guest, missing = cast.users["guest"].pk, 999_999
    for caller, expected in {"guest": 501, "admin": 501, "system_robot": 501, "owner": 403}.items():
        response = cast[caller].put(f"/users/{guest}/cli_secret", {"secret": "x"})
        assert response.status_code == expected, caller
    assert cast["anonymous"].put(f"/users/{guest}/cli_secret", {}).status_code == 401
    assert cast["owner"].put(f"/users/{missing}/cli_secret", {}).status_code == 403
    assert cast["admin"].put(f"/users/{missing}/cli_secret", {}).status_code == 404
