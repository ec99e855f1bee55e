"""The filesystem driver: the common suite, order of syncs, failures and crashes."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.common import failpoints
from core.common.errors import ErrorKind
from core.storage import writeback
from core.storage.errors import (
    StorageFailed,
    StorageFull,
    UploadBusy,
    UploadMissing,
)
from core.storage.filesystem import FilesystemDriver
from tests.core.storage.recorder import SyscallRecorder
from tests.core.storage.suite import DriverSuite, append, content, new_key, put

PROJECT = Path(__file__).parents[3]


class TestFilesystemDriver(DriverSuite):
    @pytest.fixture
    def driver(self, root: Path) -> FilesystemDriver:
        return FilesystemDriver(root)


def test_closing_frees_the_space_of_bytes_that_do_not_count(
    driver: FilesystemDriver, root: Path
) -> None:
    key = new_key()
    writer = driver.open_writer(key, driver.start(key), 0)
    writer.write(b"kept")
    state = writer.sync()
    writer.write(b"broken off")
    writer.close()
    assert (root / key.replace("blobs", "uploads")).stat().st_size == 4
    driver.commit(key, state, 4)
    assert content(driver, key) == b"kept"


class TestOrderOfSyncs:
    def test_bytes_before_the_name(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        folder, upload = key[6:8], key.replace("blobs", "uploads")
        recorder = SyscallRecorder(monkeypatch, root)
        writer = driver.open_writer(key, driver.start(key), 0)
        writer.write(b"data")
        state = writer.sync(last=True)
        writer.close()
        driver.commit(key, state, 4)
        assert recorder.calls == [
            ("pwrite", upload),
            ("fdatasync", upload),
            ("rename", upload, key),
            ("fsync", f"blobs/{folder}"),
        ]

    def test_commit_syncs_bytes_that_no_state_vouches_for(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        upload = key.replace("blobs", "uploads")
        state, _ = append(driver, key, driver.start(key), 0, b"data and more")
        recorder = SyscallRecorder(monkeypatch, root)
        driver.commit(key, state, 4)
        assert recorder.calls[:2] == [("fdatasync", upload), ("rename", upload, key)]

    def test_name_of_an_unfinished_file_is_synced_once(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        folder, upload = key[6:8], key.replace("blobs", "uploads")
        recorder = SyscallRecorder(monkeypatch, root)
        state, size = append(driver, key, driver.start(key), 0, b"one")
        assert recorder.calls[1:] == [("fdatasync", upload), ("fsync", f"uploads/{folder}")]
        recorder.calls.clear()
        append(driver, key, state, size, b"two")
        assert recorder.calls[1:] == [("fdatasync", upload)]

    def test_name_that_comes_back_after_the_commit_does_no_harm(
        self, driver: FilesystemDriver, root: Path
    ) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        driver.commit(key, state, size)
        (root / key.replace("blobs", "uploads")).hardlink_to(root / key)
        driver.commit(key, state, size)
        assert content(driver, key) == b"data"
        assert list(driver.list_uploads()) == []

    def test_repeated_commit_syncs_the_names_again(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        driver.commit(key, state, size)
        recorder = SyscallRecorder(monkeypatch, root)
        driver.commit(key, state, size)
        assert ("fsync", f"blobs/{key[6:8]}") in recorder.calls

    def test_disk_starts_to_write_before_the_sync(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ranges: list[tuple[int, int]] = []
        monkeypatch.setattr(
            "core.storage.filesystem_upload.begin_writeback",
            lambda _descriptor, offset, length: ranges.append((offset, length)),
        )
        key = new_key()
        writer = driver.open_writer(key, driver.start(key), 0)
        for _ in range(5):
            writer.write(bytes(writeback.WINDOW_BYTES // 2))
        writer.close()
        window = writeback.WINDOW_BYTES
        assert ranges == [(0, window), (window, window)]

    def test_writeback_without_the_linux_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        advice: list[tuple[int, int, int]] = []
        monkeypatch.setattr(writeback, "_sync_file_range", None)
        monkeypatch.setattr(os, "posix_fadvise", lambda _fd, *rest: advice.append(rest))
        writeback.begin_writeback(0, 5, 7)
        assert advice == [(5, 7, os.POSIX_FADV_DONTNEED)]


class TestFailures:
    def test_failed_sync_of_the_name_leaves_no_blob(self, driver: FilesystemDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        failpoints.arm("storage.commit.renamed=eio")
        with pytest.raises(StorageFailed):
            driver.commit(key, state, size)
        failpoints.disarm()
        assert driver.stat(key) is None
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size)

    def test_failed_sync_of_bytes_in_commit_ends_the_upload(self, driver: FilesystemDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        failpoints.arm("storage.sync=enospc")
        with pytest.raises(StorageFull):
            driver.commit(key, state, size - 1)
        failpoints.disarm()
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size - 1)

    def test_stray_upload_beside_its_blob_is_dropped(
        self, driver: FilesystemDriver, root: Path
    ) -> None:
        key = put(driver, b"data")
        (root / key.replace("blobs", "uploads")).write_bytes(b"evil")
        driver.commit(key, driver.start(key), 4)
        assert content(driver, key) == b"data"
        assert list(driver.list_uploads()) == []

    def test_file_exchanged_during_the_commit(
        self, driver: FilesystemDriver, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        upload = root / key.replace("blobs", "uploads")
        state, size = append(driver, key, driver.start(key), 0, b"data")
        rename = os.rename

        def exchange_first(source: Path, target: Path) -> None:
            rename(upload, upload.with_name("removed"))
            upload.write_bytes(b"evil")
            monkeypatch.setattr(os, "rename", rename)
            rename(source, target)

        monkeypatch.setattr(os, "rename", exchange_first)
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size)
        assert driver.stat(key) is None

    def test_file_removed_between_open_and_lock(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = new_key()
        state = driver.start(key)
        lock = fcntl.flock

        def abort_first(descriptor: int, operation: int) -> None:
            driver.abort(key, state)
            lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", abort_first)
        with pytest.raises(UploadMissing):
            driver.open_writer(key, state, 0)
        assert list(driver.list_uploads()) == []

    def test_failed_sync_on_a_disk_that_refuses_everything(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        writer = driver.open_writer(key, state, size)
        writer.write(b" doubtful")
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", refuse)
            broken.setattr(os, "ftruncate", refuse)
            with pytest.raises(StorageFailed):
                writer.sync()
        with pytest.raises(StorageFailed):
            writer.write(b"more")
        writer.close()
        state, size = append(driver, key, state, size, b"!")
        driver.commit(key, state, size)
        assert content(driver, key) == b"kept!"

    def test_commit_waits_for_nobody(self, driver: FilesystemDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        writer = driver.open_writer(key, state, size)
        with pytest.raises(UploadBusy) as caught:
            driver.commit(key, state, size)
        assert caught.value.kind is ErrorKind.BUSY
        assert caught.value.retry_after_seconds == 1
        writer.close()
        driver.commit(key, state, size)
        assert content(driver, key) == b"data"

    def test_short_write_of_the_kernel_goes_on(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:3], at))
        key = put(driver, b"a longer text")
        assert content(driver, key) == b"a longer text"

    def test_short_read_of_the_kernel_goes_on(
        self, driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = put(driver, b"a longer text")
        real = os.pread
        monkeypatch.setattr(os, "pread", lambda fd, length, at: real(fd, min(length, 4), at))
        reader = driver.open_blob(key)
        assert reader.read(2, 9) == b"longer te"
        assert reader.read(8, 99) == b" text"
        reader.close()

    def test_links_are_not_followed(
        self, driver: FilesystemDriver, root: Path, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        key = new_key()
        (root / key).symlink_to(secret)
        (root / key.replace("blobs", "uploads")).symlink_to(secret)
        for call in (
            lambda: driver.open_blob(key),
            lambda: driver.stat(key),
            lambda: driver.open_writer(key, driver.start(key), 0),
            lambda: driver.commit(key, driver.start(key), 6),
        ):
            with pytest.raises(StorageFailed):
                call()
        assert list(driver.list_blobs()) == []
        assert secret.read_bytes() == b"secret"

    def test_folder_in_the_place_of_a_blob(self, driver: FilesystemDriver, root: Path) -> None:
        key = new_key()
        (root / key).mkdir()
        with pytest.raises(StorageFailed):
            driver.open_blob(key)
        assert list(driver.list_blobs()) == []

    def test_refusals_leave_no_descriptor_open(self, driver: FilesystemDriver, root: Path) -> None:
        busy, short, committed = new_key(), new_key(), put(driver, b"data")
        (root / (folder := new_key())).mkdir()
        writer = driver.open_writer(busy, driver.start(busy), 0)
        state, _ = append(driver, short, driver.start(short), 0, b"data")
        before = len(os.listdir("/proc/self/fd"))
        for call in (
            lambda: driver.open_writer(busy, state, 0),
            lambda: driver.commit(busy, state, 0),
            lambda: driver.open_writer(short, state, 5),
            lambda: driver.commit(short, state, 5),
            lambda: driver.open_writer(committed, state, 0),
            lambda: driver.open_blob(folder),
        ):
            with pytest.raises((UploadBusy, UploadMissing, StorageFailed)):
                call()
        assert len(os.listdir("/proc/self/fd")) == before
        writer.close()

    def test_reader_outlives_a_delete(self, driver: FilesystemDriver) -> None:
        key = put(driver, b"data")
        reader = driver.open_blob(key)
        driver.delete(key)
        assert reader.read(0, 4) == b"data"
        reader.close()


CRASHING_CHILD = """
import json, sys
from pathlib import Path
from core.common import failpoints
from core.common.errors import ErrorKind
from core.storage.filesystem import FilesystemDriver
root, key, spec = sys.argv[1:]
driver = FilesystemDriver(Path(root))
writer = driver.open_writer(key, driver.start(key), 0)
writer.write(b"durable")
state = writer.sync()
print(json.dumps(state), flush=True)
failpoints.arm(spec)
writer.write(b", lost")
writer.sync()
writer.close()
driver.commit(key, state, 7)
print("committed", flush=True)
"""


class TestKilledProcess:
    @pytest.mark.parametrize(
        "step",
        [
            "storage.write",
            "storage.sync",
            "storage.commit.synced",
            "storage.commit.renamed",
            "storage.commit.done",
        ],
    )
    def test_another_process_finishes(
        self, driver: FilesystemDriver, root: Path, step: str
    ) -> None:
        key = new_key()
        child = subprocess.run(
            [sys.executable, "-c", CRASHING_CHILD, str(root), key, f"{step}=kill"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
        assert b"committed" not in child.stdout
        state = {"driver": "filesystem", "synced_bytes": 7, "is_named": True}
        driver.commit(key, state, 7)
        assert content(driver, key) == b"durable"
        assert list(driver.list_uploads()) == []

    def test_lock_ends_with_the_process(self, driver: FilesystemDriver, root: Path) -> None:
        key = new_key()
        child = subprocess.Popen(
            [sys.executable, "-c", CRASHING_CHILD, str(root), key, "storage.write=sleep:60"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            state = {"driver": "filesystem", "synced_bytes": 7, "is_named": True}
            with pytest.raises(UploadBusy):
                driver.open_writer(key, state, 7)
            child.kill()
        state, size = append(driver, key, state, 7, b" and more")
        driver.commit(key, state, size)
        assert content(driver, key) == b"durable and more"
