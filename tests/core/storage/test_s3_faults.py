"""What the S3 driver makes of a service, and a network, that fail."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from core.common.errors import DomainError, ErrorKind
from core.storage.errors import BlobMissing, StorageFailed, StorageFull, UploadMissing
from core.storage.s3.driver import S3Driver
from core.storage.s3.options import S3Options
from tests.core.storage.s3_server import FaultyProxy, options_for
from tests.core.storage.suite import append, content, new_key, put
from tests.core.storage.test_s3 import TINY, data_of, operations

WHOLE = data_of(200)
ALWAYS = -1


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""
    for module in ("bucket", "committing", "reader"):
        monkeypatch.setattr(f"core.storage.s3.{module}.pause_seconds", lambda _attempt: 0.0)
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0.0
    )


@pytest.fixture
def options(s3_proxy: FaultyProxy, s3_bucket: str) -> S3Options:
    return options_for(
        s3_proxy.url,
        s3_bucket,
        schedule=TINY,
        connect_timeout_seconds=2.0,
        read_timeout_seconds=1.0,
    )


@pytest.fixture
def s3(options: S3Options, s3_proxy: FaultyProxy) -> Iterator[S3Driver]:
    yield S3Driver(options)
    assert all(fault.times <= 0 for fault in s3_proxy.script.faults), "a fault never happened"


Push = Callable[[S3Driver, str], bytes]


def push_small(driver: S3Driver, key: str) -> bytes:
    """POST and PUT of a small blob."""
    writer = driver.open_writer(key, driver.start(key), 0)
    try:
        writer.write(b"small")
        state = writer.sync(last=True)
    finally:
        writer.close()
    driver.commit(key, state, 5)
    return b"small"


def push_streamed(driver: S3Driver, key: str) -> bytes:
    """One PATCH with everything, then a PUT without a body."""
    state, size = append(driver, key, driver.start(key), 0, WHOLE)
    driver.commit(key, state, size)
    return WHOLE


def push_chunks(driver: S3Driver, key: str) -> bytes:
    """Several PATCHes that end in tails."""
    state, size = driver.start(key), 0
    for start, end in ((0, 3), (3, 100), (100, 102), (102, 104)):
        state, size = append(driver, key, state, size, WHOLE[start:end])
    driver.commit(key, state, size)
    return WHOLE[:104]


# Each request of each way to push.
STEPS = [
    (push_small, "HeadObject"),
    (push_small, "PutObject"),
    (push_streamed, "CreateMultipartUpload"),
    (push_streamed, "UploadPart"),
    (push_streamed, "CompleteMultipartUpload"),
    (push_chunks, "PutObject"),
    (push_chunks, "GetObject"),
    (push_chunks, "UploadPart"),
    (push_chunks, "CompleteMultipartUpload"),
    (push_chunks, "DeleteObject"),
]
PASSING = {
    "500": ("answer", (500, "InternalError")),
    "slow down": ("answer", (503, "SlowDown")),
    "reset": ("reset", None),
    "500 after success": ("answer_after_success", (500, "InternalError")),
    "reset after success": ("reset_after_success", None),
    "silence after success": ("silent_after_success", 1.5),
}


def steps_with_names() -> list[object]:
    return [
        pytest.param(push, operation, id=f"{push.__name__} {operation}")
        for push, operation in STEPS
    ]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize(("push", "operation"), steps_with_names())
def test_a_passing_fault_is_not_noticed(
    s3: S3Driver, s3_proxy: FaultyProxy, push: Push, operation: str, fault: str
) -> None:
    action, argument = PASSING[fault]
    s3_proxy.fail(operation, action, argument=argument)
    key = new_key()
    pushed = push(s3, key)
    assert content(s3, key) == pushed
    if operation == "CreateMultipartUpload" and "success" in fault:
        # The first of the two is unknown to everybody; the sweep of the upload takes it.
        s3.abort(key, s3.start(key))
    assert list(s3.list_uploads()) == []
    assert content(s3, key) == pushed
    assert len(list(s3.list_blobs())) == 1


@pytest.mark.parametrize(
    ("push", "operation"),
    [
        pytest.param(push, operation, id=f"{push.__name__} {operation}")
        for push, operation in STEPS
        if operation != "DeleteObject"
    ],
)
def test_a_lasting_fault_is_reported_and_the_push_done_again(
    s3: S3Driver, s3_proxy: FaultyProxy, push: Push, operation: str
) -> None:
    s3_proxy.fail(operation, "answer", times=ALWAYS, argument=(503, "SlowDown"))
    key = new_key()
    with pytest.raises(StorageFailed) as caught:
        push(s3, key)
    assert caught.value.kind is ErrorKind.BUSY
    assert caught.value.retry_after_seconds == 5
    assert "SlowDown" in str(caught.value.detail) or "503" in str(caught.value.detail)
    s3_proxy.script.faults.clear()
    assert s3.stat(key) is None
    assert content(s3, put(s3, WHOLE)) == WHOLE
    s3.abort(key, s3.start(key))
    assert list(s3.list_uploads()) == []


def test_a_tail_that_cannot_be_removed_does_not_undo_the_commit(
    s3: S3Driver, s3_proxy: FaultyProxy
) -> None:
    key = new_key()
    state, size = append(s3, key, s3.start(key), 0, b"abc")
    s3_proxy.fail("DeleteObject", "answer", times=4, argument=(500, "InternalError"))
    s3.commit(key, state, size)
    assert content(s3, key) == b"abc"
    assert [upload.key for upload in s3.list_uploads()] == [key]
    s3.abort(key, state)
    assert list(s3.list_uploads()) == []
    assert content(s3, key) == b"abc"


class TestCompleting:
    def test_an_error_in_a_good_answer(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        s3_proxy.fail("CompleteMultipartUpload", "answer", times=2, argument=(200, "InternalError"))
        key = new_key()
        push_streamed(s3, key)
        assert content(s3, key) == WHOLE
        assert operations(s3_proxy).count("CompleteMultipartUpload") == 3

    def test_a_good_answer_with_an_error_for_ever(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        s3_proxy.fail("CompleteMultipartUpload", "answer", times=4, argument=(200, "InternalError"))
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE)
        with pytest.raises(StorageFailed):
            s3.commit(key, state, size)
        assert s3.stat(key) is None
        s3.commit(key, state, size)
        assert content(s3, key) == WHOLE

    @pytest.mark.parametrize(
        ("action", "argument"),
        [
            ("answer_after_success", (200, "InternalError")),
            ("answer_after_success", (500, "InternalError")),
            ("reset_after_success", None),
            ("silent_after_success", 1.5),
        ],
    )
    def test_a_hidden_success_is_found_before_asking_again(
        self, s3: S3Driver, s3_proxy: FaultyProxy, action: str, argument: object
    ) -> None:
        s3_proxy.fail("CompleteMultipartUpload", action, argument=argument)
        key = new_key()
        push_streamed(s3, key)
        assert content(s3, key) == WHOLE
        seen = operations(s3_proxy)
        assert seen.count("CompleteMultipartUpload") == 1
        assert seen[seen.index("CompleteMultipartUpload") + 1] == "HeadObject"

    def test_a_commit_that_was_answered_to_nobody(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        """Everything fails after the success; later the same commit is repeated."""
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE)
        s3_proxy.fail("CompleteMultipartUpload", "reset_after_success")
        s3_proxy.fail("HeadObject", "answer", times=ALWAYS, argument=(500, "InternalError"))
        with pytest.raises(StorageFailed):
            s3.commit(key, state, size)
        s3_proxy.script.faults.clear()
        s3.commit(key, state, size)
        assert content(s3, key) == WHOLE

    def test_a_wrong_etag_never_becomes_a_blob(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        s3_proxy.fail("UploadPart", "wrong_etag")
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE)
        with pytest.raises(UploadMissing):
            s3.commit(key, state, size)
        assert s3.stat(key) is None
        s3.abort(key, state)
        assert list(s3.list_uploads()) == []

    def test_a_multipart_upload_that_somebody_removed(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        """A lifecycle rule may do that to an upload that took too long."""
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE)
        s3.abort(key, s3.start(key))
        with pytest.raises(UploadMissing):
            append(s3, key, state, size, WHOLE)
        with pytest.raises(UploadMissing):
            s3.commit(key, state, size)


class TestWriting:
    def test_a_part_that_fails_in_the_background_is_reported(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE[:60])
        s3_proxy.fail("UploadPart", "answer", times=ALWAYS, argument=(500, "InternalError"))
        writer = s3.open_writer(key, state, size)
        # The first parts are still on their way when these bytes have been taken.
        writer.write(WHOLE[60:100])
        with pytest.raises(StorageFailed):
            writer.write(data_of(1_000))
        assert writer.offset == 100
        with pytest.raises(StorageFailed):
            writer.sync()
        writer.close()
        s3_proxy.script.faults.clear()
        state, size = append(s3, key, state, size, WHOLE[60:])
        s3.commit(key, state, size)
        assert content(s3, key) == WHOLE

    def test_a_full_service(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        s3_proxy.fail("PutObject", "answer", argument=(507, "XMinioStorageFull"))
        with pytest.raises(StorageFull):
            put(s3, b"abc")

    def test_another_request_for_the_name_under_way(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        s3_proxy.fail("PutObject", "answer", times=3, argument=(409, "ConditionalRequestConflict"))
        key = new_key()
        push_small(s3, key)
        assert content(s3, key) == b"small"

    def test_an_abort_that_fails_can_be_repeated(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        key = new_key()
        state, size = append(s3, key, s3.start(key), 0, WHOLE[:60])
        state, size = append(s3, key, state, size, b"abc")
        s3_proxy.fail("AbortMultipartUpload", "answer", times=4, argument=(500, "InternalError"))
        with pytest.raises(StorageFailed):
            s3.abort(key, state)
        s3.abort(key, state)
        s3.abort(key, state)
        assert list(s3.list_uploads()) == []


class TestReading:
    @pytest.fixture
    def key(self, s3: S3Driver) -> str:
        return put(s3, data_of(1_000_000))

    @pytest.fixture
    def options(self, options: S3Options) -> S3Options:
        return replace(options, schedule=type(TINY)())

    def test_goes_on_where_the_answer_broke_off(
        self, s3: S3Driver, s3_proxy: FaultyProxy, key: str
    ) -> None:
        s3_proxy.script.requests.clear()
        s3_proxy.fail("GetObject", "break_off", times=3, argument=300_000)
        assert content(s3, key) == data_of(1_000_000)
        ranges = [
            request.headers.get("range")
            for request in s3_proxy.script.requests
            if request.operation == "GetObject"
        ]
        assert ranges[0] is None
        begins = [int((one or "bytes=0-").removeprefix("bytes=").split("-")[0]) for one in ranges]
        assert begins == [0, 300_000, 600_000, 900_000]

    def test_gives_up_when_nothing_comes(
        self, s3: S3Driver, s3_proxy: FaultyProxy, key: str
    ) -> None:
        reader = s3.open_blob(key)
        reader.read(0, 10)
        reader.close()
        reader = s3.open_blob(key)
        assert reader.read(400_000, 10) == data_of(1_000_000)[400_000:400_010]
        s3_proxy.fail("GetObject", "answer", times=16, argument=(503, "SlowDown"))
        with pytest.raises(StorageFailed):
            reader.read(0, 10)
        s3_proxy.script.faults.clear()
        assert reader.read(0, 10) == data_of(1_000_000)[:10]
        reader.close()
        with pytest.raises(StorageFailed):
            reader.read(0, 1)

    def test_a_slow_answer_is_waited_for(
        self, s3: S3Driver, s3_proxy: FaultyProxy, key: str
    ) -> None:
        s3_proxy.fail("GetObject", "slow_body", argument=3.0)
        began = time.monotonic()
        assert content(s3, key) == data_of(1_000_000)
        assert time.monotonic() - began > 2.5

    def test_pieces_in_order_come_from_one_answer(
        self, s3: S3Driver, s3_proxy: FaultyProxy, key: str
    ) -> None:
        s3_proxy.script.requests.clear()
        reader = s3.open_blob(key)
        pieces = [reader.read(offset, 50_000) for offset in range(0, 1_000_000, 50_000)]
        reader.close()
        assert b"".join(pieces) == data_of(1_000_000)
        assert operations(s3_proxy) == ["GetObject"]

    def test_pieces_of_a_range_come_from_two(
        self, s3: S3Driver, s3_proxy: FaultyProxy, key: str
    ) -> None:
        s3_proxy.script.requests.clear()
        reader = s3.open_blob(key)
        pieces = [reader.read(offset, 50_000) for offset in range(100_000, 400_000, 50_000)]
        reader.close()
        assert b"".join(pieces) == data_of(1_000_000)[100_000:400_000]
        assert operations(s3_proxy) == ["GetObject"] * 3

    def test_a_missing_object(self, s3: S3Driver, key: str) -> None:
        reader = s3.open_blob(key)
        reader.read(0, 10)
        s3.delete(key)
        with pytest.raises(BlobMissing):
            reader.read(400_000, 10)
        reader.close()
        with pytest.raises(BlobMissing):
            s3.open_blob(key)
        assert s3.stat(key) is None


def test_a_service_that_is_away(options: S3Options) -> None:
    away = S3Driver(replace(options, endpoint_url="http://127.0.0.1:9"))
    key = new_key()
    calls: list[Callable[[], object]] = [
        lambda: away.stat(key),
        lambda: away.open_blob(key),
        lambda: away.delete(key),
        lambda: list(away.list_blobs()),
        lambda: away.commit(key, away.start(key), 0),
    ]
    for call in calls:
        with pytest.raises(DomainError) as caught:
            call()
        assert isinstance(caught.value, StorageFailed)
        assert caught.value.retry_after_seconds == 5
