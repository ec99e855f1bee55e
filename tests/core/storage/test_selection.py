"""The configured driver."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.storage import selection
from core.storage.errors import StorageMisconfigured
from core.storage.filesystem import FilesystemDriver


@pytest.fixture(autouse=True)
def fresh_choice() -> Iterator[None]:
    selection.default_driver.cache_clear()
    selection.former_driver.cache_clear()
    yield
    selection.default_driver.cache_clear()
    selection.former_driver.cache_clear()


def test_one_driver_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "settings", SimpleNamespace(STORAGE_ROOT=tmp_path / "storage"))
    driver = selection.default_driver()
    assert isinstance(driver, FilesystemDriver)
    assert selection.default_driver() is driver
    assert (tmp_path / "storage" / "blobs").is_dir()


@pytest.mark.parametrize("settings", [SimpleNamespace(), SimpleNamespace(STORAGE_ROOT="/srv")])
def test_missing_setting(settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "settings", settings)
    with pytest.raises(StorageMisconfigured, match="STORAGE_ROOT"):
        selection.default_driver()


def test_rows_name_the_current_or_the_former_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        selection,
        "settings",
        SimpleNamespace(
            STORAGE_NAME="new",
            STORAGE_ROOT=tmp_path / "new",
            FORMER_STORAGE_NAME="main",
            FORMER_STORAGE_ROOT=tmp_path / "old",
        ),
    )
    assert list(selection.drivers()) == ["new", "main"]
    assert selection.driver_of("new") is selection.default_driver()
    assert selection.driver_of("main") is selection.former_driver()
    assert (tmp_path / "old" / "blobs").is_dir()
    with pytest.raises(StorageMisconfigured, match="under the name gone"):
        selection.driver_of("gone")


def test_there_need_be_no_former_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = SimpleNamespace(
        STORAGE_NAME="main", STORAGE_ROOT=tmp_path / "new", FORMER_STORAGE_NAME=None
    )
    monkeypatch.setattr(selection, "settings", only)
    assert list(selection.drivers()) == ["main"]
