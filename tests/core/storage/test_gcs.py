"""The driver for Google Cloud Storage against an emulator."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from core.storage.errors import StorageMisconfigured
from core.storage.gcs.driver import GCSDriver
from core.storage.gcs.options import GCSOptions
from core.storage.gcs.signing import LinkSigner
from tests.core.storage.clouds import close
from tests.core.storage.emulators import FakeGCS, gcs_options
from tests.core.storage.s3_server import FaultyProxy
from tests.core.storage.suite import DriverSuite, content, new_key, put


class TestGCSDriver(DriverSuite):
    # Three pieces of 16 MiB in memory, and two copies of each that is being sent.
    peak_memory_bytes = 160 << 20

    @pytest.fixture
    def driver(self, gcs_proxy: FaultyProxy[FakeGCS], gcs_bucket: str) -> Iterator[GCSDriver]:
        driver = GCSDriver(gcs_options(gcs_proxy.url, gcs_bucket))
        yield driver
        close(driver)


@pytest.fixture
def options(gcs_proxy: FaultyProxy[FakeGCS], gcs_bucket: str) -> GCSOptions:
    return gcs_options(gcs_proxy.url, gcs_bucket)


def test_sends_its_own_requests_only(
    options: GCSOptions, gcs_proxy: FaultyProxy[FakeGCS], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK asks for nothing beside them in threads that nobody waits for."""
    started: list[str] = []
    start = threading.Thread.start

    def record(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", record)
    driver = GCSDriver(options)
    key = put(driver, b"bytes")
    assert content(driver, key) == b"bytes"
    driver.delete(key)
    assert driver.stat(key) is None
    close(driver)
    assert "piece_0" in started
    assert [name for name in started if "background" in name] == []
    about_the_bucket = f"/storage/v1/b/{options.bucket}"
    paths = [request.target.partition("?")[0] for request in gcs_proxy.script.requests]
    assert f"{about_the_bucket}/o" in paths
    assert about_the_bucket not in paths


class TestLinks:
    def test_are_signed_as_the_sdk_signs(self, options: GCSOptions) -> None:
        driver = GCSDriver(replace(options, endpoint_url=None, prefix=""))
        key, moment = new_key(), datetime(2026, 3, 4, 5, 5, tzinfo=UTC)
        with time_machine.travel(moment, tick=False):
            ours = driver.redirect_url(key, lifetime_seconds=60)
            connection = driver._service._connections.get()  # type: ignore[attr-defined]
            expected = connection.bucket.blob(key).generate_signed_url(
                version="v4", expiration=timedelta(seconds=360)
            )
        assert ours == expected

    def test_are_the_same_for_a_while_in_every_process(self, options: GCSOptions) -> None:
        key, urls = new_key(), []
        for second in (0, 299, 300):
            moment = datetime(2026, 1, 1, 12, second // 60, second % 60, tzinfo=UTC)
            with time_machine.travel(moment, tick=False):
                urls.append(GCSDriver(options).redirect_url(key, lifetime_seconds=1_200))
        assert urls[0] == urls[1] != urls[2]
        assert "X-Goog-Expires=1500" in (urls[0] or "")

    def test_take_no_request(self, options: GCSOptions, gcs_proxy: FaultyProxy[FakeGCS]) -> None:
        assert GCSDriver(options).redirect_url(new_key(), lifetime_seconds=60)
        assert gcs_proxy.script.operations() == []

    def test_are_none_where_nobody_can_sign(self) -> None:
        assert LinkSigner("https://x.example.org/", AnonymousCredentials()).link("a", 60) is None  # type: ignore[no-untyped-call]

    def test_without_a_key_are_signed_by_the_service_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signed: list[bytes] = []

        class Signer:
            def __init__(self, request: object, credentials: object, email: str) -> None:
                assert email == "registry@project-1.example.org"

            def sign(self, message: bytes) -> bytes:
                signed.append(message)
                return b"signature"

        monkeypatch.setattr(sys.modules[LinkSigner.__module__], "Signer", Signer)
        credentials = SimpleNamespace(
            valid=True, service_account_email="registry@project-1.example.org"
        )
        signer = LinkSigner("https://x.example.org/", credentials)  # type: ignore[arg-type]
        with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
            links = {signer.link("a", 60) for _ in range(3)}
        assert len(links) == len(signed) == 1
        assert signed[0].startswith(b"GOOG4-RSA-SHA256\n20260101T000000Z\n")


@pytest.mark.parametrize("key", ["no JSON", "[]", '{"type": "service_account"}'])
def test_a_key_that_is_none(options: GCSOptions, key: str) -> None:
    with pytest.raises(StorageMisconfigured, match="not the JSON of a service account") as caught:
        GCSDriver(replace(options, credentials=key))
    assert caught.value.__cause__ is None


def test_no_credentials_anywhere(options: GCSOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(scopes: object) -> None:
        raise DefaultCredentialsError

    monkeypatch.setattr("google.auth.default", find_none)
    with pytest.raises(StorageMisconfigured, match="ROADSTEAD_GCS_CREDENTIALS_FILE"):
        GCSDriver(replace(options, credentials=None))
