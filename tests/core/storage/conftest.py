"""An empty filesystem driver for each test, a server that speaks S3, and emulators of clouds."""

import functools
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

from core.common import failpoints
from core.storage.filesystem import FilesystemDriver
from tests.core.storage.emulators import (
    AZURITE,
    FAKE_GCS,
    AzureHandler,
    Azurite,
    FakeGCS,
    GCSHandler,
)
from tests.core.storage.s3_server import FaultyProxy, S3Server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def driver(root: Path) -> Iterator[FilesystemDriver]:
    yield FilesystemDriver(root)
    failpoints.disarm()


@pytest.fixture(scope="session", autouse=True)
def quick_clients() -> Iterator[None]:
    """Let all clients share what botocore has read of the services: most of the cost of a driver.

    Clients of one session share it anyway; here each test has a driver and so a session.
    """
    with pytest.MonkeyPatch.context() as patch:
        loader_of = functools.cache(botocore.session.create_loader)
        patch.setattr(botocore.session, "create_loader", loader_of)
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.new_bucket()


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[FaultyProxy[S3Server]]:
    proxy = FaultyProxy(s3_server)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    if AZURITE is None:
        pytest.skip("azurite-blob is not installed")
    server = Azurite()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def azure_container(azurite: Azurite) -> str:
    return azurite.new_container()


@pytest.fixture
def azure_proxy(azurite: Azurite) -> Iterator[FaultyProxy[Azurite]]:
    proxy = FaultyProxy(azurite, AzureHandler)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[FakeGCS]:
    if FAKE_GCS is None:
        pytest.skip("fake-gcs-server is not installed")
    server = FakeGCS()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def gcs_bucket(fake_gcs: FakeGCS) -> str:
    return fake_gcs.new_bucket()


@pytest.fixture
def gcs_proxy(fake_gcs: FakeGCS) -> Iterator[FaultyProxy[FakeGCS]]:
    proxy = FaultyProxy(fake_gcs, GCSHandler)
    yield proxy
    proxy.stop()
