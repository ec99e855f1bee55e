"""The configured driver."""

import sys
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


@pytest.mark.parametrize(
    ("setting", "fields", "name"),
    [
        ("STORAGE_AZURE", {"container": "blobs", "account": "account1"}, "AzureDriver"),
        ("STORAGE_GCS", {"bucket": "blobs", "credentials": "no JSON"}, None),
    ],
)
def test_clouds(
    setting: str, fields: dict[str, str], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "settings", SimpleNamespace(**{setting: fields}))
    if name is None:
        with pytest.raises(StorageMisconfigured, match="ROADSTEAD_GCS_CREDENTIALS"):
            selection.default_driver()
    else:
        assert type(selection.default_driver()).__name__ == name


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("core.storage.gcs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    monkeypatch.setattr(selection, "settings", SimpleNamespace(STORAGE_GCS={"bucket": "blobs"}))
    with pytest.raises(StorageMisconfigured, match=r"pip install 'roadstead\[gcs\]'"):
        selection.default_driver()
