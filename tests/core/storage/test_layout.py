"""The folders of the filesystem driver: how they begin, and refusals in one sentence."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage import layout
from core.storage.errors import StorageFailed, StorageFull, StorageMisconfigured
from core.storage.filesystem import FilesystemDriver
from tests.core.storage.recorder import SyscallRecorder
from tests.core.storage.suite import content, new_key, put

PROJECT = Path(__file__).parents[3]


class TestStart:
    def test_modes_and_folders(self, driver: FilesystemDriver, root: Path) -> None:
        key = put(driver, b"data")
        assert (root / key).stat().st_mode & 0o777 == 0o600
        for folder in (root, root / "blobs", root / "uploads/00", root / "blobs/ff"):
            assert folder.stat().st_mode & 0o777 == 0o700

    def test_second_start_makes_and_syncs_nothing(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = put(driver, b"data")
        recorder = SyscallRecorder(monkeypatch, root)
        again = FilesystemDriver(root)
        assert recorder.calls == []
        assert content(again, key) == b"data"

    def test_missing_folder_is_made_again(self, driver: FilesystemDriver, root: Path) -> None:
        (root / "blobs/7f").rmdir()
        driver.check()
        assert (root / "blobs/7f").is_dir()

    def test_root_behind_a_link(self, root: Path, tmp_path: Path) -> None:
        root.mkdir()
        link = tmp_path / "link"
        link.symlink_to(root)
        key = put(FilesystemDriver(link), b"data")
        assert (root / key).read_bytes() == b"data"

    def test_relative_root(self) -> None:
        with pytest.raises(StorageMisconfigured, match="absolute"):
            FilesystemDriver(Path("storage"))

    def test_root_is_a_file(self, root: Path) -> None:
        root.write_bytes(b"")
        with pytest.raises(StorageMisconfigured, match="cannot be prepared"):
            FilesystemDriver(root)

    @pytest.mark.usefixtures("driver")
    def test_area_behind_a_link(self, root: Path, tmp_path: Path) -> None:
        (root / "blobs").rename(tmp_path / "elsewhere")
        (root / "blobs").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StorageMisconfigured, match="plain directory"):
            FilesystemDriver(root)

    @pytest.mark.usefixtures("driver")
    def test_unknown_layout(self, root: Path) -> None:
        (root / "layout").write_text("roadstead storage layout 2\n")
        with pytest.raises(StorageMisconfigured, match="does not know"):
            FilesystemDriver(root)

    def test_two_filesystems(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = Path.lstat

        def lstat(path: Path) -> os.stat_result:
            facts = list(real(path))
            if path == root / "blobs":
                facts[2] += 1
            return os.stat_result(facts)

        monkeypatch.setattr(Path, "lstat", lstat)
        with pytest.raises(StorageMisconfigured, match="one filesystem"):
            driver.check()

    def test_rename_between_two_mounts(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(StorageMisconfigured, match="one mount"):
            driver.check()
        assert list(driver.list_uploads()) == []

    def test_root_is_gone(self, driver: FilesystemDriver, root: Path) -> None:
        root.rename(root.with_name("moved"))
        with pytest.raises(StorageMisconfigured, match="is gone"):
            driver.check()

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_no_room_is_no_mistake(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "pwrite", fail)
        with pytest.raises(StorageFull):
            driver.check()

    def test_probe_leaves_nothing(self, driver: FilesystemDriver, root: Path) -> None:
        driver.check()
        assert not [path for path in root.rglob("*") if path.is_file() and path.name != "layout"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Give a directory, and for the test the rights of nobody where it runs as root."""
    with tempfile.TemporaryDirectory() as name:
        directory, user = Path(name), os.geteuid()
        if user == 0:
            os.chown(directory, 65534, 65534)
            os.seteuid(65534)
        try:
            yield directory
        finally:
            os.seteuid(user)


def test_read_only_directory(unprivileged: Path) -> None:
    root = unprivileged / "storage"
    driver = FilesystemDriver(root)
    key = new_key()
    for folder in (root / "uploads", root / "uploads" / key[6:8]):
        folder.chmod(0o500)
    with pytest.raises(StorageMisconfigured, match="cannot be written to"):
        driver.check()
    with pytest.raises(StorageFailed):
        driver.open_writer(key, driver.start(key), 0)
    unprivileged.chmod(0o500)
    with pytest.raises(StorageMisconfigured, match="cannot be prepared"):
        FilesystemDriver(unprivileged / "another")
    for folder in (unprivileged, root / "uploads", root / "uploads" / key[6:8]):
        folder.chmod(0o700)


STARTING_CHILD = """
import sys
from pathlib import Path
from core.storage.filesystem import FilesystemDriver
FilesystemDriver(Path(sys.argv[1]))
"""


def test_layout_survives_two_starts_at_once(root: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", STARTING_CHILD, str(root)], cwd=PROJECT)
        for _ in range(3)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert {path.name for path in root.iterdir()} == {layout.UPLOADS, layout.BLOBS, "layout"}
