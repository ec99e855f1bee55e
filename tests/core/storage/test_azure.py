"""The driver for Azure Blob Storage against the service's own emulator."""

import pytest

from core.storage.azure.driver import AzureDriver
from tests.core.storage.emulators import Azurite, azure_options
from tests.core.storage.suite import DriverSuite


class TestAzureDriver(DriverSuite):
    # Three pieces of 16 MiB in memory, and a copy of each that is being sent.
    peak_memory_bytes = 112 << 20

    @pytest.fixture
    def driver(self, azurite: Azurite, azure_container: str) -> AzureDriver:
        return AzureDriver(azure_options(azurite.url, azure_container))
