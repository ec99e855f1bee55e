"""What both clouds must do beyond the common suite: fencing, faults, processes, secrets."""

import gc
import logging
import os
import pickle
import random
from collections.abc import Callable, Iterator

import pytest
from azure.storage.blob import ExponentialRetry

from core.storage.errors import (
    BlobMissing,
    StorageFailed,
    StorageFull,
    StorageMisconfigured,
    UploadMissing,
)
from core.storage.part_schedule import PartSchedule
from core.storage.pieces.driver import PiecesDriver
from tests.core.storage import clouds
from tests.core.storage.clouds import Cloud
from tests.core.storage.suite import DriverSuite, append, content, new_key, put, stored

# The SDKs leave the connection of a broken answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

ALWAYS = -1
WHOLE = random.Random(1).randbytes(200)
OTHER = random.Random(2).randbytes(200)


@pytest.fixture(scope="module", autouse=True)
def no_connection_outlives_this_module() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once; the jitter of this SDK has seconds."""
    monkeypatch.setattr(ExponentialRetry, "get_backoff_time", lambda _self, _settings: 0.0)


@pytest.fixture(params=["azure", "gcs"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    kind = request.param
    place = "azure_container" if kind == "azure" else "gcs_bucket"
    make: Callable[..., Cloud] = getattr(clouds, kind)
    made = make(request.getfixturevalue(f"{kind}_proxy"), request.getfixturevalue(place))
    yield made
    made.close()


@pytest.fixture
def driver(cloud: Cloud) -> PiecesDriver:
    return cloud.driver()


class TestWithTinyPieces(DriverSuite):
    """Every test of the suite goes through many pieces, and buffers in files."""

    @pytest.fixture
    def driver(self, cloud: Cloud) -> PiecesDriver:
        driver = cloud.driver(
            schedule=PartSchedule(((4_000, 10), (16_000, 9_950)), minimum_bytes=1)
        )
        driver._memory.take(driver._memory.left_bytes - 9_000)
        return driver

    def test_large_blob_in_little_memory(self, driver: object) -> None:
        """A thousand pieces of this size say nothing of memory."""


class TestUploads:
    def test_any_process_goes_on_with_any_upload(self, cloud: Cloud) -> None:
        key = new_key()
        state, size = cloud.driver().start(key), 0
        while size < len(WHOLE):
            state, size = append(cloud.driver(), key, state, size, WHOLE[size : size + 70])
        cloud.driver().commit(key, state, size)
        assert content(cloud.driver(), key) == WHOLE
        assert list(cloud.driver().list_uploads()) == []

    def test_bytes_that_were_never_recorded_are_no_part_of_the_blob(
        self, driver: PiecesDriver
    ) -> None:
        """A process died after storing and before recording; the client sends other bytes."""
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, WHOLE[:60])
        append(driver, key, state, size, OTHER)
        state, size = append(driver, key, state, size, WHOLE[60:])
        driver.commit(key, state, size)
        assert content(driver, key) == WHOLE
        assert list(driver.list_uploads()) == []

    @pytest.mark.parametrize("is_early", [True, False])
    def test_a_writer_that_lost_its_claim_replaces_nothing(
        self, driver: PiecesDriver, is_early: bool
    ) -> None:
        key = new_key()
        late = driver.open_writer(key, driver.start(key), 0)
        late.write(OTHER)
        if is_early:
            late_state = stored(late.sync())
        put(driver, WHOLE, key)
        if not is_early:
            late_state = stored(late.sync())
        late.close()
        with pytest.raises(UploadMissing):
            driver.commit(key, late_state, len(OTHER))
        assert content(driver, key) == WHOLE

    def test_abort_takes_what_no_state_names(self, driver: PiecesDriver) -> None:
        key = new_key()
        crashed = driver.open_writer(key, driver.start(key), 0)
        crashed.write(WHOLE)
        crashed.sync()
        append(driver, key, driver.start(key), 0, b"abc")
        (found,) = driver.list_uploads()
        assert (found.key, found.size) == (key, len(WHOLE) + 3)
        driver.abort(key, driver.start(key))
        assert list(driver.list_uploads()) == []
        assert list(driver.list_blobs()) == []
        crashed.close()

    def test_an_aborted_upload_stays_aborted(self, driver: PiecesDriver) -> None:
        key = new_key()
        state, size = append(driver, key, driver.start(key), 0, WHOLE)
        driver.abort(key, state)
        with pytest.raises(UploadMissing):
            append(driver, key, state, size, b"more")
        with pytest.raises(UploadMissing):
            driver.commit(key, state, size)
        assert driver.stat(key) is None

    def test_more_bytes_than_the_pieces_can_take(self, driver: PiecesDriver) -> None:
        key = new_key()
        writer = driver.open_writer(key, driver.start(key), 0)
        with pytest.raises(StorageFull):
            writer.write(bytes(clouds.TINY.capacity_bytes + 1))
        assert writer.offset == 0
        writer.close()

    def test_memory_is_given_back(self, driver: PiecesDriver) -> None:
        before = driver._memory.left_bytes
        key = new_key()
        writer = driver.open_writer(key, driver.start(key), 0)
        writer.write(WHOLE)
        writer.close()
        put(driver, WHOLE)
        assert driver._memory.left_bytes == before

    def test_many_pieces(self, cloud: Cloud, driver: PiecesDriver) -> None:
        """More than one request can join, where there is a limit."""
        whole = random.Random(3).randbytes(16 * 10 + 64 * 40 + 256 * 5 + 40)
        key = put(driver, whole)
        assert content(driver, key) == whole
        assert cloud.operations.count(cloud.put) == 56
        assert list(driver.list_uploads()) == []
        assert [blob.key for blob in driver.list_blobs()] == [key]


Push = Callable[[PiecesDriver, str], bytes]


def push(driver: PiecesDriver, key: str) -> bytes:
    """Two requests with bytes, then one that commits."""
    state, size = append(driver, key, driver.start(key), 0, WHOLE[:50])
    state, size = append(driver, key, state, size, WHOLE[50:])
    driver.commit(key, state, size)
    return WHOLE


PASSING = {
    "500": ("answer", (500, "InternalError")),
    "503": ("answer", (503, "ServerBusy")),
    "reset": ("reset", None),
    "500 after success": ("answer_after_success", (500, "InternalError")),
    "reset after success": ("reset_after_success", None),
    "silence after success": ("silent_after_success", 1.5),
}


class TestFaults:
    @pytest.mark.parametrize("fault", PASSING)
    @pytest.mark.parametrize("step", ["put", "join", "head", "read"])
    def test_a_passing_fault_is_not_noticed(self, cloud: Cloud, step: str, fault: str) -> None:
        driver, key = cloud.driver(), new_key()
        action, argument = PASSING[fault]
        made = cloud.proxy.fail(getattr(cloud, step), action, argument=argument)
        pushed = push(driver, key)
        assert content(driver, key) == pushed
        assert made.times == 0
        assert list(driver.list_uploads()) == []
        assert len(list(driver.list_blobs())) == 1

    @pytest.mark.parametrize("step", ["put", "join", "head"])
    def test_a_lasting_fault_is_reported_and_the_push_done_again(
        self, cloud: Cloud, step: str
    ) -> None:
        driver, key = cloud.driver(**short_patience(cloud)), new_key()
        cloud.proxy.fail(getattr(cloud, step), "answer", times=ALWAYS, argument=(503, "ServerBusy"))
        with pytest.raises(StorageFailed) as caught:
            push(driver, key)
        assert caught.value.retry_after_seconds == 5
        assert "503" in str(caught.value.detail) or "ServerBusy" in str(caught.value.detail)
        cloud.proxy.script.faults.clear()
        assert driver.stat(key) is None
        driver.abort(key, driver.start(key))
        assert list(driver.list_uploads()) == []
        assert content(driver, put(driver, WHOLE)) == WHOLE

    def test_a_commit_that_was_answered_to_nobody(self, cloud: Cloud) -> None:
        """Everything fails after the success; later the same commit is repeated."""
        driver, key = cloud.driver(**short_patience(cloud)), new_key()
        state, size = append(driver, key, driver.start(key), 0, WHOLE)
        cloud.proxy.fail(cloud.join, "reset_after_success", times=ALWAYS)
        cloud.proxy.fail(cloud.head, "answer", times=ALWAYS, argument=(500, "InternalError"))
        with pytest.raises(StorageFailed):
            driver.commit(key, state, size)
        cloud.proxy.script.faults.clear()
        driver.commit(key, state, size)
        assert content(driver, key) == WHOLE
        assert list(driver.list_uploads()) == []

    def test_a_piece_that_fails_in_the_background_is_reported(self, cloud: Cloud) -> None:
        driver, key = cloud.driver(**short_patience(cloud)), new_key()
        state, size = append(driver, key, driver.start(key), 0, WHOLE[:60])
        cloud.proxy.fail(cloud.put, "answer", times=ALWAYS, argument=(500, "InternalError"))
        writer = driver.open_writer(key, state, size)
        with pytest.raises(StorageFailed):
            writer.write(OTHER * 10)
        with pytest.raises(StorageFailed):
            writer.sync()
        writer.close()
        cloud.proxy.script.faults.clear()
        state, size = append(driver, key, state, size, WHOLE[60:])
        driver.commit(key, state, size)
        assert content(driver, key) == WHOLE

    def test_a_full_service(self, cloud: Cloud, driver: PiecesDriver) -> None:
        cloud.proxy.fail(cloud.put, "answer", times=ALWAYS, argument=(507, "InsufficientStorage"))
        with pytest.raises(StorageFull):
            put(driver, b"abc")

    def test_an_abort_that_fails_can_be_repeated(self, cloud: Cloud) -> None:
        driver, key = cloud.driver(**short_patience(cloud)), new_key()
        state, _ = append(driver, key, driver.start(key), 0, WHOLE)
        cloud.proxy.fail(cloud.remove, "answer", times=ALWAYS, argument=(500, "InternalError"))
        with pytest.raises(StorageFailed):
            driver.abort(key, state)
        cloud.proxy.script.faults.clear()
        driver.abort(key, state)
        driver.abort(key, state)
        assert list(driver.list_uploads()) == []
        assert list(driver.list_blobs()) == []

    def test_a_blob_that_goes_while_it_is_read(self, driver: PiecesDriver) -> None:
        key = put(driver, WHOLE)
        reader = driver.open_blob(key)
        assert reader.read(100, 10) == WHOLE[100:110]
        driver.delete(key)
        with pytest.raises(BlobMissing):
            reader.read(0, 10)
        reader.close()

    def test_an_answer_that_breaks_off(self, cloud: Cloud, driver: PiecesDriver) -> None:
        key = put(driver, WHOLE)
        cloud.proxy.fail(cloud.read, "break_off", argument=50)
        assert content(driver, key) == WHOLE

    def test_a_service_that_is_away(self, cloud: Cloud) -> None:
        away = cloud.driver(endpoint_url="http://127.0.0.1:9", **short_patience(cloud))
        key = new_key()
        calls: list[Callable[[], object]] = [
            lambda: away.stat(key),
            lambda: away.open_blob(key),
            lambda: away.delete(key),
            lambda: list(away.list_blobs()),
            lambda: away.commit(key, away.start(key), 0),
        ]
        for call in calls:
            with pytest.raises(StorageFailed) as caught:
                call()
            assert caught.value.retry_after_seconds == 5


class TestCheck:
    @pytest.mark.parametrize("step", ["put", "join", "read"])
    def test_says_that_something_is_refused(self, cloud: Cloud, step: str) -> None:
        cloud.proxy.fail(
            getattr(cloud, step), "answer", times=ALWAYS, argument=(403, "AuthorizationFailure")
        )
        with pytest.raises(StorageMisconfigured, match="refuses a request with these") as caught:
            cloud.driver().check()
        assert str(caught.value).endswith(".")

    def test_a_place_that_is_not_there(self, cloud: Cloud) -> None:
        name = "container" if hasattr(cloud.options, "container") else "bucket"
        driver = cloud.driver(**{name: "nobody-made-this-one"})
        with pytest.raises(StorageMisconfigured, match="does not exist: make it"):
            driver.check()

    def test_a_service_that_is_away(self, cloud: Cloud) -> None:
        away = cloud.driver(endpoint_url="http://127.0.0.1:9", **short_patience(cloud))
        with pytest.raises(StorageMisconfigured, match="cannot be used"):
            away.check()


def test_a_forked_process_uses_connections_of_its_own(driver: PiecesDriver) -> None:
    key = put(driver, WHOLE)
    service = driver._service
    before = service._connections.get()  # type: ignore[attr-defined]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        other = new_key()
        put(driver, b"from the child", other)
        mine = service._connections.get()  # type: ignore[attr-defined]
        os.write(writing, pickle.dumps((content(driver, key), mine is before, other)))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        read, is_shared, other = pickle.loads(pipe.read())
    assert (read, is_shared) == (WHOLE, False)
    assert content(driver, other) == b"from the child"


def test_secrets_are_neither_shown_nor_logged(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    options = cloud.options
    secret = options.account_key if hasattr(options, "account") else options.credentials
    driver = cloud.driver()
    with caplog.at_level(logging.DEBUG):
        key = put(driver, WHOLE)
        link = driver.redirect_url(key, lifetime_seconds=60) or ""
        cloud.proxy.fail(cloud.head, "answer", times=ALWAYS, argument=(403, "AuthorizationFailure"))
        with pytest.raises(StorageFailed) as caught:
            driver.stat(key)
    signature = link.rpartition("=")[2]
    assert len(signature) > 20
    for text in (repr(options), caplog.text, repr(caught.value.detail)):
        assert secret not in text
        assert signature not in text


def short_patience(cloud: Cloud) -> dict[str, float]:
    """Return options with which a lasting fault is reported soon."""
    return {"retries": 1} if hasattr(cloud.options, "retries") else {"retry_seconds": 0.3}
