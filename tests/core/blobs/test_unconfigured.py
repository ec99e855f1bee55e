"""Storages that rows name and the configuration lacks."""

from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from core.audit.models import AuditEntry
from core.blobs import unconfigured
from core.blobs.commands import app
from core.blobs.errors import StoreNotRenamed
from core.blobs.models import Blob, Upload
from core.blobs.unconfigured import list_unconfigured, rename_store, warn_of_unconfigured
from core.projects.models import Project
from core.rbac.types import Actor
from tests.factories.artifacts import make_blob, make_upload, write_chunk
from tests.factories.storages import stores

pytestmark = pytest.mark.django_db(transaction=True)

HERE = (
    "2 blobs are in a storage called main, which is not configured, but the objects lie in the "
    "one that is configured as other: set {}=main, and start again."
)
GONE = (
    "1 blob is in a storage called main, which is not configured, and cannot be pulled: set "
    "ROADSTEAD_FORMER_STORAGE_NAME=main with ROADSTEAD_FORMER_STORAGE_DIR or "
    "ROADSTEAD_FORMER_STORAGE_URL, and start again."
)


def sentences() -> list[str]:
    return [found.sentence() for found in list_unconfigured()]


def test_what_to_set_depends_on_where_the_objects_are(
    tmp_path: Path, settings: Settings, project: Project
) -> None:
    with stores(settings, tmp_path / "first"):
        first = make_blob(project, b"one")
        make_blob(project, b"two")
        assert sentences() == []
        settings.STORAGE_NAME = "other"
        assert sentences() == [HERE.format("ROADSTEAD_STORAGE_NAME")]
    with stores(settings, tmp_path / "new", tmp_path / "first", names=("new", "other")):
        assert sentences() == [HERE.format("ROADSTEAD_FORMER_STORAGE_NAME")]
    with stores(settings, tmp_path / "new", tmp_path / "first", names=("new", "main")):
        assert sentences() == []
    with stores(settings, tmp_path / "elsewhere"):
        settings.STORAGE_NAME = "other"
        Blob.objects.exclude(pk=first.id).update(store="other")
        assert sentences() == [GONE]


def test_two_names_of_one_storage_become_one(
    tmp_path: Path, settings: Settings, project: Project
) -> None:
    with stores(settings, tmp_path / "first"):
        make_blob(project, b"one")
        write_chunk(make_upload(project), b"in progress")
        settings.STORAGE_NAME = "other"
        make_blob(project, b"two")
        assert sentences() == [
            "1 blob is in a storage called main, which is not configured, but the objects lie in "
            "the one that is configured as other: run `roadstead storage rename main other`."
        ]
        for wrong in (("main", "third"), ("other", "main"), ("third", "other")):
            with pytest.raises(StoreNotRenamed):
                rename_store(*wrong, actor=Actor.system())
        result = CliRunner().invoke(app, ["rename", "main", "other"])
        assert result.output == "main is called other now: 1 blob.\n"
        assert sentences() == []
        for model in (Blob, Upload):
            assert set(model.objects.values_list("store", flat=True)) == {"other"}
        entry = AuditEntry.objects.get(action="blobs.storage.renamed")
        assert (entry.target_label, entry.detail) == ("other", {"from": "main", "blobs": 1})


def test_the_start_says_it_in_the_log(
    tmp_path: Path,
    settings: Settings,
    project: Project,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unconfigured, "PATIENCE_MILLISECONDS", 60_000)
    with stores(settings, tmp_path / "first"):
        make_blob(project, b"one")
        warn_of_unconfigured()
        assert caplog.text == ""
        Blob.objects.update(store="gone", storage_key="blobs/00/" + 32 * "0")
        warn_of_unconfigured()
        assert "storage_not_configured" in caplog.text
        assert GONE.replace("main", "gone") in caplog.text
        caplog.clear()
        slow = "SELECT 'x', 1, 1, 1, 1 FROM pg_sleep(60)"
        monkeypatch.setattr("core.blobs.queries._USAGE", slow)
        monkeypatch.setattr(unconfigured, "PATIENCE_MILLISECONDS", 20)
        warn_of_unconfigured()
        assert "storage_not_configured" not in caplog.text


def test_the_start_goes_on_without_tables(caplog: pytest.LogCaptureFixture, db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE blobs_blob RENAME TO blobs_away")
    try:
        warn_of_unconfigured()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE blobs_away RENAME TO blobs_blob")
    assert caplog.text == ""
