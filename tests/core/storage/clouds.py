"""One shape for the tests that both clouds must pass."""

from dataclasses import dataclass, field, replace
from typing import Any

from core.storage.azure.service import AzureService
from core.storage.gcs.service import GCSService
from core.storage.part_schedule import PartSchedule
from core.storage.pieces.driver import PiecesDriver
from tests.core.storage.emulators import Azurite, FakeGCS, azure_options, gcs_options
from tests.core.storage.s3_server import FaultyProxy

TINY = PartSchedule(steps=((16, 10), (64, 40), (256, 50)), minimum_bytes=1)
"""The real schedule, a million times smaller."""


@dataclass
class Cloud:
    """An emulator behind a proxy, and what its requests are called."""

    proxy: FaultyProxy[Any]
    options: Any
    put: str
    """The request that stores a piece."""
    join: str
    head: str
    read: str
    remove: str
    """The request that an abort removes bytes with."""

    drivers: list[PiecesDriver] = field(default_factory=list)

    def driver(self, *, schedule: PartSchedule = TINY, **changed: Any) -> PiecesDriver:
        options = replace(self.options, **changed)
        service = AzureService if hasattr(options, "account") else GCSService
        self.drivers.append(PiecesDriver(service(options), schedule=schedule))
        return self.drivers[-1]

    def close(self) -> None:
        for driver in self.drivers:
            close(driver)

    @property
    def operations(self) -> list[str]:
        seen = self.proxy.script.operations()
        return [operation for operation in seen if operation != "Token"]


def azure(proxy: FaultyProxy[Azurite], container: str) -> Cloud:
    options = azure_options(proxy.url, container, read_timeout_seconds=1.0)
    return Cloud(
        proxy,
        options,
        put="Put Block",
        join="Put Block List",
        head="Get Blob Properties",
        read="Get Blob",
        remove="Put Block List",
    )


def gcs(proxy: FaultyProxy[FakeGCS], bucket: str) -> Cloud:
    options = gcs_options(proxy.url, bucket, read_timeout_seconds=1.0, retry_seconds=10.0)
    return Cloud(
        proxy,
        options,
        put="Insert",
        join="Compose",
        head="Get",
        read="Get Content",
        remove="Delete",
    )


def close(driver: Any) -> None:
    """Close the connections that a driver keeps for as long as its process lives."""
    connection = driver._service._connections.get()
    if hasattr(connection, "bucket"):
        connection.bucket.client.close()
    else:
        connection.client.close()
