"""The driver for Azure Blob Storage against the service's own emulator."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
import time_machine
from azure.storage.blob import UserDelegationKey

from core.storage.azure.driver import AzureDriver
from core.storage.azure.options import AzureOptions
from core.storage.errors import StorageFailed, StorageMisconfigured
from tests.core.storage.clouds import close
from tests.core.storage.emulators import Azurite, azure_options
from tests.core.storage.s3_server import FaultyProxy
from tests.core.storage.suite import DriverSuite, append, new_key, put


class TestAzureDriver(DriverSuite):
    # Three pieces of 16 MiB in memory, and a copy of each that is being sent.
    peak_memory_bytes = 112 << 20

    @pytest.fixture
    def driver(self, azurite: Azurite, azure_container: str) -> Iterator[AzureDriver]:
        driver = AzureDriver(azure_options(azurite.url, azure_container))
        yield driver
        close(driver)


@pytest.fixture
def options(azure_proxy: FaultyProxy[Azurite], azure_container: str) -> AzureOptions:
    return azure_options(azure_proxy.url, azure_container)


@pytest.fixture
def driver(options: AzureOptions) -> Iterator[AzureDriver]:
    driver = AzureDriver(options)
    yield driver
    close(driver)


class TestLinks:
    def test_lead_to_the_bytes_without_credentials(self, driver: AzureDriver) -> None:
        url = driver.redirect_url(put(driver, b"data"), lifetime_seconds=60)
        with urlopen(url or "", timeout=10) as answer:
            assert answer.read() == b"data"
            assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"

    def test_are_the_same_for_a_while_in_every_process(self, options: AzureOptions) -> None:
        key, urls = new_key(), []
        for second in (0, 299, 300):
            moment = datetime(2026, 1, 1, 12, second // 60, second % 60, tzinfo=UTC)
            with time_machine.travel(moment, tick=False):
                urls.append(AzureDriver(options).redirect_url(key, lifetime_seconds=1_200))
        assert urls[0] == urls[1] != urls[2]
        # Handed out in the last second before rounding, it still lives 20 minutes.
        query = parse_qs(urlsplit(urls[0] or "").query)
        assert query["se"] == ["2026-01-01T12:25:00Z"]
        assert query["sp"] == ["r"]

    def test_without_a_key_are_signed_with_one_of_the_service(
        self, driver: AzureDriver, options: AzureOptions
    ) -> None:
        asked: list[datetime] = []

        def give(begins_at: datetime, ends_at: datetime) -> UserDelegationKey:
            asked.append(ends_at)
            key = UserDelegationKey()
            key.signed_oid = key.signed_tid = key.signed_service = key.signed_version = "x"
            key.signed_start = key.signed_expiry = "2026-01-01T00:00:00Z"
            key.value = "a2V5"
            return key

        connection = driver._service._connections.get()  # type: ignore[attr-defined]
        connection._options = replace(options, account_key=None)
        connection.client.get_user_delegation_key = give
        moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
        with time_machine.travel(moment, tick=False):
            links = {driver.redirect_url(new_key(), lifetime_seconds=60) for _ in range(3)}
        assert len(links) == 3
        assert len(asked) == 1
        assert all("skoid=x" in (link or "") for link in links)
        with time_machine.travel(moment + timedelta(days=1), tick=False):
            driver.redirect_url(new_key(), lifetime_seconds=60)
        assert len(asked) == 2


def test_an_empty_blob_that_a_crash_in_an_abort_left_goes_with_the_next(
    driver: AzureDriver, azure_proxy: FaultyProxy[Azurite]
) -> None:
    key = new_key()
    state, _ = append(driver, key, driver.start(key), 0, b"abc")
    azure_proxy.fail("Delete Blob", "answer", times=4, argument=(500, "InternalError"))
    with pytest.raises(StorageFailed):
        driver.abort(key, state)
    assert driver.stat(key) == 0
    driver.abort(key, state)
    assert driver.stat(key) is None


def test_listings_leave_out_what_is_not_ours(
    driver: AzureDriver, options: AzureOptions, azurite: Azurite
) -> None:
    key = put(driver, b"data")
    container = azurite.container(options.container)
    for name in ("blobs/x", "blobs/ab/short", "other"):
        container.upload_blob(options.prefix + name, b"x")
    container.get_blob_client(f"{options.prefix}blobs/y").stage_block("a", b"x")
    assert [blob.key for blob in driver.list_blobs()] == [key]
    assert list(driver.list_uploads()) == []


def test_a_key_that_is_none(options: AzureOptions) -> None:
    with pytest.raises(StorageMisconfigured, match="not base64"):
        AzureDriver(replace(options, account_key="no key!"))


def test_without_a_key_the_identity_is_looked_for_later(options: AzureOptions) -> None:
    assert AzureDriver(replace(options, account_key=None, endpoint_url=None))
    with pytest.raises(StorageMisconfigured, match="only supported with HTTPS"):
        AzureDriver(replace(options, account_key=None))
