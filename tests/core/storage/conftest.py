"""An empty filesystem driver for each test, and a server that speaks S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.common import failpoints
from core.storage.filesystem import FilesystemDriver
from tests.core.storage.s3_server import FaultyProxy, S3Server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def driver(root: Path) -> Iterator[FilesystemDriver]:
    yield FilesystemDriver(root)
    failpoints.disarm()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.new_bucket()


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_server)
    yield proxy
    proxy.stop()
