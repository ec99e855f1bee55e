"""What every blob driver must do. A test module subclasses ``DriverSuite`` for its driver."""

import hashlib
import json
import os
import random
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from core.common import failpoints
from core.common.errors import ErrorKind
from core.storage.errors import (
    BlobMissing,
    StorageFailed,
    StorageFull,
    StorageKeyInvalid,
    UploadBusy,
    UploadMissing,
)
from core.storage.keys import key_for_upload
from core.storage.types import BlobReader, StorageDriver, UploadState, UploadWriter

HOSTILE_KEYS = (
    "",
    "blobs",
    "/etc/passwd",
    "blobs/../../../../etc/passwd",
    "blobs/ab/../../../etc/passwd",
    "blobs/ab/" + "a" * 31,
    "blobs/ab/" + "a" * 33,
    "blobs/AB/" + "a" * 32,
    "blobs/ab/" + "a" * 31 + "G",
    "blobs/ab/" + "a" * 32 + "\n",
    "blobs/ab/" + "a" * 32 + "/x",
    "blobs/ab/" + "a" * 31 + "\0",
    "uploads/ab/" + "a" * 32,
    "blobs//ab/" + "a" * 32,
    "/blobs/ab/" + "a" * 32,
    "blobs/ab/" + "\N{ARABIC-INDIC DIGIT ONE}" * 32,
)


def new_key() -> str:
    """Return a key that no other test uses."""
    return key_for_upload(uuid.uuid4())


def stored(state: UploadState) -> UploadState:
    """Send a state through the database column it lives in between two requests."""
    result: UploadState = json.loads(json.dumps(state))
    return result


def append(
    driver: StorageDriver, key: str, state: UploadState, size: int, data: bytes
) -> tuple[UploadState, int]:
    """Append ``data`` as one request does and return the new state and size."""
    writer = driver.open_writer(key, stored(state), size)
    try:
        writer.write(data)
        return stored(writer.sync()), writer.offset
    finally:
        writer.close()


def put(driver: StorageDriver, data: bytes, key: str | None = None) -> str:
    """Store ``data`` as a blob and return its key."""
    key = key or new_key()
    state, size = append(driver, key, driver.start(key), 0, data)
    driver.commit(key, state, size)
    return key


def content(driver: StorageDriver, key: str) -> bytes:
    """Return all bytes of a blob."""
    reader = driver.open_blob(key)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


class DriverSuite:
    """Inherited by ``Test...`` classes that give the fixture ``driver``."""

    peak_memory_bytes = 4 << 20
    """What a blob of 64 MiB may take; a driver that must hold a part in memory says more."""

    @pytest.fixture
    def driver(self) -> Iterator[StorageDriver]:
        """Return an empty driver."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def no_failpoints(self) -> Iterator[None]:
        """Leave no failpoint armed for the next test."""
        yield
        failpoints.disarm()

    def test_has_the_interface(self, driver: StorageDriver) -> None:
        key = new_key()
        writer = driver.open_writer(key, driver.start(key), 0)
        assert isinstance(driver, StorageDriver)
        assert isinstance(writer, UploadWriter)
        writer.close()
        reader = driver.open_blob(put(driver, b"x"))
        assert isinstance(reader, BlobReader)
        reader.close()

    def test_check_accepts_a_working_storage(self, driver: StorageDriver) -> None:
        driver.check()
        assert list(driver.list_blobs()) == []
        assert list(driver.list_uploads()) == []

    def test_one_request(self, driver: StorageDriver) -> None:
        key = new_key()
        writer = driver.open_writer(key, driver.start(key), 0)
        writer.write(b"hello ")
        writer.write(memoryview(bytearray(b"..world.."))[2:7])
        assert writer.offset == 11
        state = stored(writer.sync(last=True))
        writer.close()
        driver.commit(key, state, 11)
        assert driver.stat(key) == 11
        assert content(driver, key) == b"hello world"

    def test_nothing_is_visible_before_commit(self, driver: StorageDriver) -> None:
        key = new_key()
        append(driver, key, driver.start(key), 0, b"data")
        assert driver.stat(key) is None
        assert [found.key for found in driver.list_blobs()] == []
        with pytest.raises(BlobMissing):
            driver.open_blob(key)

    @pytest.mark.parametrize("data", [b"", b"\0"], ids=["empty", "one byte"])
    def test_tiny_blobs(self, driver: StorageDriver, data: bytes) -> None:
        key = put(driver, data)
        assert driver.stat(key) == len(data)
        assert content(driver, key) == data

    def test_empty_blob_without_any_writer(self, driver: StorageDriver) -> None:
        key = new_key()
        driver.commit(key, stored(driver.start(key)), 0)
        assert driver.stat(key) == 0

    def test_resumes_at_any_offset(self, driver: StorageDriver) -> None:
        chance = random.Random(7)
        whole = chance.randbytes(300_000)
        key = new_key()
        state, size = driver.start(key), 0
        while size < len(whole):
            piece = whole[size : size + chance.choice((0, 1, 4095, 4096, 50_001))]
            state, size = append(driver, key, state, size, piece)
        driver.commit(key, state, size)
        assert content(driver, key) == whole

    def test_bytes_after_the_known_size_do_not_count(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        append(driver, key, state, size, b" forgotten, and long")
        state, size = append(driver, key, state, size, b" new")
        driver.commit(key, state, size)
        assert content(driver, key) == b"kept new"

    def test_commit_cuts_what_was_written_after_its_size(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        append(driver, key, state, size, b" forgotten")
        driver.commit(key, state, size)
        assert content(driver, key) == b"kept"

    def test_unsynced_bytes_do_not_count(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        writer = driver.open_writer(key, state, size)
        writer.write(b" never synced")
        writer.close()
        writer.close()
        state, size = append(driver, key, state, size, b"!")
        driver.commit(key, state, size)
        assert content(driver, key) == b"kept!"

    def test_two_writers_never_mix(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"head ")
        old = driver.open_writer(key, state, size)
        old.write(b"OLD")
        try:
            new = driver.open_writer(key, state, size)
        except UploadBusy:
            old.close()
            new = driver.open_writer(key, state, size)
        new.write(b"new")
        # Where the first writer is still open, its bytes may go somewhere, never in here.
        with suppress(StorageFailed):
            old.write(b"OLD OLD OLD")
            old.sync()
        state = new.sync()
        new.close()
        driver.commit(key, state, size + 3)
        assert content(driver, key) == b"head new"

    def test_commit_twice(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        driver.commit(key, state, size)
        driver.commit(key, state, size)
        assert content(driver, key) == b"data"

    def test_commit_never_replaces_a_blob(self, driver: StorageDriver) -> None:
        key = put(driver, b"data")
        with pytest.raises((StorageFailed, UploadMissing)):
            driver.commit(key, driver.start(key), 3)
        assert content(driver, key) == b"data"

    def test_commit_of_unknown_or_missing_bytes(self, driver: StorageDriver) -> None:
        key = new_key()
        with pytest.raises(UploadMissing):
            driver.commit(key, driver.start(key), 4)
        state, size = append(driver, key, driver.start(key), 0, b"data")
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size + 1)
        assert driver.stat(key) is None

    def test_late_writer_cannot_revive_a_committed_upload(self, driver: StorageDriver) -> None:
        key = put(driver, b"data")
        with pytest.raises(UploadMissing):
            driver.open_writer(key, driver.start(key), 0)
        with pytest.raises(UploadMissing):
            driver.open_writer(key, driver.start(key), 4)
        assert list(driver.list_uploads()) == []
        assert content(driver, key) == b"data"

    def test_state_of_another_driver_is_refused(self, driver: StorageDriver) -> None:
        key = new_key()
        for state in ({}, {"driver": "another"}):
            with pytest.raises(UploadMissing):
                driver.open_writer(key, state, 0)
            with pytest.raises(UploadMissing):
                driver.commit(key, state, 0)

    def test_abort_twice_and_without_bytes(self, driver: StorageDriver) -> None:
        key = new_key()
        state = driver.start(key)
        driver.abort(key, state)
        state, size = append(driver, key, state, 0, b"data")
        driver.abort(key, state)
        driver.abort(key, state)
        assert list(driver.list_uploads()) == []
        with pytest.raises(UploadMissing):
            driver.open_writer(key, state, size)
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size)

    def test_abort_under_an_open_writer(self, driver: StorageDriver) -> None:
        key = new_key()
        state = driver.start(key)
        writer = driver.open_writer(key, state, 0)
        writer.write(b"data")
        driver.abort(key, state)
        writer.close()
        assert list(driver.list_uploads()) == []

    def test_abort_leaves_a_committed_blob(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"data")
        driver.commit(key, state, size)
        driver.abort(key, state)
        assert content(driver, key) == b"data"

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_keys(self, driver: StorageDriver, key: str) -> None:
        state = driver.start(new_key())
        calls = (
            lambda: driver.start(key),
            lambda: driver.open_writer(key, state, 0),
            lambda: driver.commit(key, state, 0),
            lambda: driver.abort(key, state),
            lambda: driver.open_blob(key),
            lambda: driver.stat(key),
            lambda: driver.delete(key),
        )
        for call in calls:
            with pytest.raises(StorageKeyInvalid):
                call()

    def test_reads_ranges(self, driver: StorageDriver) -> None:
        reader = driver.open_blob(put(driver, bytes(range(256))))
        assert reader.size == 256
        assert reader.read(10, 3) == bytes((10, 11, 12))
        assert reader.read(250, 100) == bytes(range(250, 256))
        assert reader.read(256, 1) == b""
        assert reader.read(0, 0) == b""
        if reader.file is not None:
            assert os.pread(reader.file.fileno(), 1000, 0) == bytes(range(256))
        reader.close()
        reader.close()

    def test_delete(self, driver: StorageDriver) -> None:
        key = put(driver, b"data")
        driver.delete(key)
        driver.delete(key)
        assert driver.stat(key) is None
        with pytest.raises(BlobMissing):
            driver.open_blob(key)

    def test_lists(self, driver: StorageDriver) -> None:
        before = datetime.now(tz=UTC) - timedelta(seconds=5)
        blobs = {put(driver, b"x" * length): length for length in (0, 1, 70_000)}
        upload = new_key()
        append(driver, upload, driver.start(upload), 0, b"unfinished")
        found = list(driver.list_blobs())
        assert {key: size for key, size, _ in found} == blobs
        assert [item.key for item in driver.list_uploads()] == [upload]
        assert all(before < item.modified_at <= datetime.now(tz=UTC) for item in found)

    def test_free_and_total_bytes(self, driver: StorageDriver) -> None:
        free, total = driver.free_bytes(), driver.total_bytes()
        assert (free is None) == (total is None)
        assert free is None or total is None or 0 < free <= total

    def test_large_blob_in_little_memory(self, driver: StorageDriver) -> None:
        block = random.Random(3).randbytes(1 << 20)
        expected = hashlib.sha256(block * 64).hexdigest()
        key = new_key()
        tracemalloc.start()
        try:
            writer = driver.open_writer(key, driver.start(key), 0)
            for _ in range(64):
                writer.write(memoryview(block))
            state = writer.sync(last=True)
            writer.close()
            driver.commit(key, state, 64 << 20)
            reader, digest = driver.open_blob(key), hashlib.sha256()
            for offset in range(0, reader.size, 1 << 20):
                digest.update(reader.read(offset, 1 << 20))
            reader.close()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert digest.hexdigest() == expected
        assert peak < self.peak_memory_bytes

    @pytest.mark.parametrize("action", ["enospc", "edquot"])
    def test_full_storage_and_space_again(self, driver: StorageDriver, action: str) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        writer = driver.open_writer(key, state, size)
        failpoints.arm(f"storage.write={action}@1")
        with pytest.raises(StorageFull) as caught:
            writer.write(b" refused")
        assert caught.value.kind is ErrorKind.STORAGE_FULL
        assert writer.offset == size
        writer.write(b" later")
        state = writer.sync()
        writer.close()
        driver.commit(key, state, writer.offset)
        assert content(driver, key) == b"kept later"

    def test_failed_sync_loses_only_what_it_covered(self, driver: StorageDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, b"kept")
        writer = driver.open_writer(key, state, size)
        writer.write(b" doubtful")
        failpoints.arm("storage.sync=eio@1")
        with pytest.raises(StorageFailed) as caught:
            writer.sync()
        assert caught.value.kind is ErrorKind.BUSY
        assert caught.value.retry_after_seconds == 5
        with pytest.raises(StorageFailed):
            writer.sync()
        writer.close()
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size + len(b" doubtful"))
        state, size = append(driver, key, state, size, b" sent again")
        driver.commit(key, state, size)
        assert content(driver, key) == b"kept sent again"
