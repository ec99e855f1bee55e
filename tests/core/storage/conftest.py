"""An empty filesystem driver for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.common import failpoints
from core.storage.filesystem import FilesystemDriver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def driver(root: Path) -> Iterator[FilesystemDriver]:
    yield FilesystemDriver(root)
    failpoints.disarm()
