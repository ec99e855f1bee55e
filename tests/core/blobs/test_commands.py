"""``roadstead storage``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from typer.testing import CliRunner

from core.blobs.commands import app
from core.blobs.errors import MigrationUnderWay, NoFormerStorage
from core.blobs.models import CondemnedObject, Upload
from core.blobs.services import sweep_condemned
from core.common.clock import now
from core.projects.models import Project
from core.storage.selection import driver_of
from tests.factories.artifacts import (
    make_blob,
    make_upload,
)
from tests.factories.storages import damage, stores
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def moved_in(tmp_path: Path, settings: Settings, project: Project) -> Iterator[None]:
    """Three blobs in the storage that has become the former one, and one in the current."""
    with stores(settings, tmp_path / "old"):
        for number in range(3):
            make_blob(project, f"content {number}".encode())
    Upload.objects.all().delete()
    with stores(settings, tmp_path / "new", tmp_path / "old"):
        make_blob(project, b"new content")
        yield


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, result.output


def rows(output: str) -> list[list[str]]:
    lines = [line.strip("│ ") for line in output.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.split("│")] for line in lines]


@pytest.mark.usefixtures("moved_in")
def test_status_names_every_storage(settings: Settings) -> None:
    code, output = run("status")
    assert code == 0
    assert rows(output) == [
        ["new", "current", "1", "11 bytes", "0", "0"],
        ["main", "former", "3", "27 bytes", "0", "0"],
    ]
    settings.FORMER_STORAGE_NAME = None
    assert rows(run("status")[1])[1][:3] == ["main", "not configured", "3"]


@pytest.mark.usefixtures("moved_in")
def test_a_dry_run_moves_nothing() -> None:
    code, output = run("migrate", "--dry-run")
    assert (code, output) == (0, "In main: 3 blobs of 27 bytes to move to new.\n")
    assert len(list(driver_of("new").list_blobs())) == 1


@pytest.mark.usefixtures("moved_in")
def test_it_says_what_is_to_be_done_next() -> None:
    code, output = run("migrate", "--jobs", "2", "--megabytes-per-second", "100")
    assert code == 0
    assert "3 blobs moved." in output
    assert "No blob is left in main. 3 objects there wait a day" in output
    assert rows(run("status")[1])[1][-1] == "3"
    CondemnedObject.objects.update(kept_until=now())
    assert sweep_condemned() == 3
    code, output = run("migrate")
    assert code == 0
    assert output.endswith("Nothing is left in main: unset ROADSTEAD_FORMER_*.\n")


@pytest.mark.usefixtures("moved_in")
def test_what_cannot_be_moved_is_told(project: Project) -> None:
    upload = make_upload(project)
    Upload.objects.filter(pk=upload.id).update(store="main")
    stored = next(iter(driver_of("main").list_blobs()))
    damage(driver_of("main"), stored.key, "flipped")
    code, output = run("migrate")
    assert code == 1
    assert "2 blobs moved." in output
    assert "1 is damaged and stays: " in output
    assert "run `roadstead fsck`" in output
    assert "1 upload is still in progress in main: " in output
    assert "1 blob is left in main." in output


@pytest.mark.usefixtures("moved_in")
def test_one_migration_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7461727)")
        try:
            (refused,) = at_once(1, lambda _: CliRunner().invoke(app, ["migrate"]).exception)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(7461727)")
    assert isinstance(refused, MigrationUnderWay)
    assert run("migrate")[0] == 0


@pytest.mark.usefixtures("storage_root")
def test_there_must_be_a_former_storage(db: None) -> None:
    with pytest.raises(NoFormerStorage):
        run("migrate")
