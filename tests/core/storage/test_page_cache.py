"""What reading in passing leaves in memory."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage import page_cache
from core.storage.filesystem import FilesystemBlobReader
from core.storage.page_cache import PassingRead, is_mostly_cached

pytestmark = pytest.mark.pure

SIZE = (5 << 20) + 100
PIECE = 1 << 20


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """A file on disk of which nothing is in memory."""
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(SIZE))
    opened = os.open(path, os.O_RDWR)
    os.fsync(opened)
    os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
    if is_mostly_cached(opened, SIZE):
        pytest.skip("the temporary directory is in memory")
    yield opened
    os.close(opened)


def read_in_passing(descriptor: int) -> bytes:
    # The reader closes what it is given.
    passing = PassingRead(FilesystemBlobReader(os.dup(descriptor), SIZE))
    return b"".join(iter(lambda: passing.read(PIECE), b""))


def test_what_was_not_in_memory_is_not_left_there(descriptor: int) -> None:
    content = read_in_passing(descriptor)
    assert len(content) == SIZE
    assert not is_mostly_cached(descriptor, SIZE)
    assert page_cache._cached_pages(descriptor, 0, SIZE) == 0
    assert os.pread(descriptor, SIZE, 0) == content


def test_what_was_in_memory_stays(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    os.pread(descriptor, SIZE, 0)
    monkeypatch.setattr(page_cache, "WINDOW_BYTES", 2 << 20)
    assert is_mostly_cached(descriptor, SIZE)
    read_in_passing(descriptor)
    assert is_mostly_cached(descriptor, SIZE)


def test_what_cannot_be_asked_about(tmp_path: Path) -> None:
    assert not is_mostly_cached(-1, SIZE)
    empty = tmp_path / "empty"
    empty.touch()
    with empty.open("rb") as file:
        assert not is_mostly_cached(file.fileno(), 0)
        assert PassingRead(FilesystemBlobReader(os.dup(file.fileno()), 0)).read(PIECE) == b""
