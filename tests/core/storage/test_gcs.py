"""The driver for Google Cloud Storage against an emulator."""

import pytest

from core.storage.gcs.driver import GCSDriver
from tests.core.storage.emulators import FakeGCS, gcs_options
from tests.core.storage.s3_server import FaultyProxy
from tests.core.storage.suite import DriverSuite


class TestGCSDriver(DriverSuite):
    # Three pieces of 16 MiB in memory, and two copies of each that is being sent.
    peak_memory_bytes = 160 << 20

    @pytest.fixture
    def driver(self, gcs_proxy: FaultyProxy[FakeGCS], gcs_bucket: str) -> GCSDriver:
        return GCSDriver(gcs_options(gcs_proxy.url, gcs_bucket))
