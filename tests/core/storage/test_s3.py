"""The S3 driver against a real server: the common suite, parts, tails and requests sent."""

import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from core.storage.errors import StorageFull, UploadMissing
from core.storage.part_schedule import PartSchedule
from core.storage.s3.driver import S3Driver
from core.storage.s3.options import S3Options
from core.storage.s3.state import Part, S3State
from core.storage.s3.writer import TAILS
from core.storage.types import UploadState
from tests.core.storage.s3_server import FaultyProxy, S3Server, SentRequest, options_for
from tests.core.storage.suite import DriverSuite, append, content, new_key, put, stored

REAL_SERVICE = os.environ.get("TEST_S3_URL", "")
"""``http(s)://key:secret@host:port/bucket`` from ROADSTEAD_TEST_S3_URL; see tests/support."""

TINY = PartSchedule(steps=((16, 10), (64, 40), (256, 50)), minimum_bytes=5, early_parts=4)
"""The real schedule, a million and a hundred times smaller."""

FORBIDDEN = {"CopyObject", "UploadPartCopy", "ListParts"}


class TestS3Driver(DriverSuite):
    # Three parts of 16 MiB in memory, of which one is being filled with 5 MiB to spare, and
    # one that grows by an eighth more than it holds.
    peak_memory_bytes = 80 << 20

    @pytest.fixture
    def driver(self, s3_server: S3Server, s3_bucket: str) -> S3Driver:
        return S3Driver(options_for(s3_server.url, s3_bucket))


class TestS3DriverWithoutConditionalWrites(DriverSuite):
    peak_memory_bytes = TestS3Driver.peak_memory_bytes

    @pytest.fixture
    def driver(self, s3_server: S3Server, s3_bucket: str) -> S3Driver:
        options = options_for(s3_server.url, s3_bucket, has_conditional_writes=False)
        return S3Driver(options)


class TestS3DriverWithTinyParts(DriverSuite):
    """Every test of the suite goes through parts and tails, and buffers in files."""

    @pytest.fixture
    def driver(self, s3_server: S3Server, s3_bucket: str) -> S3Driver:
        steps = ((1_000, 10), (4_000, 40), (16_000, 9_950))
        schedule = PartSchedule(steps, minimum_bytes=400, early_parts=2)
        return S3Driver(
            options_for(s3_server.url, s3_bucket, schedule=schedule, buffer_memory_bytes=2_500)
        )

    def test_large_blob_in_little_memory(self, driver: object) -> None:
        """A thousand parts of this size say nothing of memory."""


@pytest.mark.skipif(not REAL_SERVICE, reason="ROADSTEAD_TEST_S3_URL is not set")
class TestS3DriverOfAnotherService(DriverSuite):
    peak_memory_bytes = TestS3Driver.peak_memory_bytes

    @pytest.fixture
    def driver(self) -> Iterator[S3Driver]:
        parts = urlsplit(REAL_SERVICE)
        assert parts.hostname, "write it as http://key:secret@host:port/bucket"
        port = f":{parts.port}" if parts.port else ""
        driver = S3Driver(
            options_for(
                f"{parts.scheme}://{parts.hostname}{port}",
                parts.path.strip("/"),
                access_key_id=unquote(parts.username or ""),
                secret_access_key=unquote(parts.password or ""),
            )
        )
        driver.check()
        yield driver
        for upload in driver.list_uploads():
            driver.abort(upload.key, driver.start(upload.key))
        for blob in driver.list_blobs():
            driver.delete(blob.key)


@pytest.fixture
def options(s3_proxy: FaultyProxy, s3_bucket: str) -> S3Options:
    return options_for(s3_proxy.url, s3_bucket, schedule=TINY)


@pytest.fixture
def s3(options: S3Options) -> S3Driver:
    return S3Driver(options)


class TestSchedule:
    def test_more_than_a_terabyte_in_ten_thousand_parts(self) -> None:
        real = PartSchedule()
        assert real.maximum_parts == 10_000
        assert real.guaranteed_bytes > 10**12
        assert real.capacity_bytes > real.guaranteed_bytes
        assert all(5 << 20 <= size <= 5 << 30 for size, _ in real.steps)

    def test_steps(self) -> None:
        real = PartSchedule()
        numbers = (1, 1_000, 1_001, 5_000, 5_001, 10_000)
        assert [real.size_of(number) >> 20 for number in numbers] == [16, 16, 64, 64, 256, 256]
        for number in (0, 10_001):
            with pytest.raises(ValueError, match="no part"):
                real.size_of(number)

    def test_a_step_below_the_minimum_is_refused(self) -> None:
        with pytest.raises(ValueError, match="minimum"):
            PartSchedule(steps=((4, 10),), minimum_bytes=5)


def sent(driver: S3Driver, key: str, chunks: list[bytes]) -> tuple[UploadState, int]:
    """Append each chunk as a request of its own."""
    state, size = driver.start(key), 0
    for chunk in chunks:
        state, size = append(driver, key, state, size, chunk)
    return state, size


def data_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


class TestParts:
    def test_grow_as_the_schedule_says(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        key, whole = new_key(), data_of(16 * 10 + 64 * 40 + 256 * 3 + 40)
        writer = s3.open_writer(key, s3.start(key), 0)
        for start in range(0, len(whole), 7):
            writer.write(whole[start : start + 7])
        state = writer.sync(last=True)
        writer.close()
        s3.commit(key, state, len(whole))
        sizes = {part_number(r): r.body_bytes for r in requests(s3_proxy, "UploadPart")}
        expected = [16] * 10 + [64] * 40 + [256] * 3 + [40]
        assert [sizes[number] for number in sorted(sizes)] == expected
        assert content(s3, key) == whole

    def test_the_last_part_is_never_too_small_to_go_on(self, s3: S3Driver) -> None:
        """After ``sync(last=True)`` another writer can append all the same."""
        for size in (16 + 5, 16 + 6, 16 + 16, 32 + 5):
            key, whole = new_key(), data_of(size + 30)
            writer = s3.open_writer(key, s3.start(key), 0)
            writer.write(whole[:size])
            state = stored(writer.sync(last=True))
            writer.close()
            known = S3State.from_json(state)
            assert all(part.size >= TINY.minimum_bytes for part in known.parts)
            assert not known.tails
            state, size = append(s3, key, state, size, whole[size:])
            s3.commit(key, state, size)
            assert content(s3, key) == whole

    def test_more_bytes_than_the_parts_can_take(self, s3: S3Driver) -> None:
        key = new_key()
        writer = s3.open_writer(key, s3.start(key), 0)
        with pytest.raises(StorageFull):
            writer.write(bytes(TINY.capacity_bytes + TINY.minimum_bytes))
        assert writer.offset == 0
        writer.close()
        assert list(s3.list_uploads()) == []

    def test_ten_thousand_and_one_bytes_by_the_byte(
        self, s3_server: S3Server, s3_bucket: str
    ) -> None:
        """Parts of one byte, so that the last number is in use; the first came some other way."""
        schedule = PartSchedule(((1, 9_999), (8, 1)), minimum_bytes=1, early_parts=0)
        driver = S3Driver(options_for(s3_server.url, s3_bucket, schedule=schedule))
        key, whole = new_key(), data_of(10_001)
        begun = S3State.from_json(append(driver, key, driver.start(key), 0, whole[:20])[0])
        before = [whole[i : i + 1] for i in range(9_990)]
        etags = s3_server.add_parts(s3_bucket, begun.multipart_id, before)
        parts = tuple(Part(1, etag) for etag in etags)
        assert begun.parts == parts[: len(begun.parts)] != ()
        forged = replace(begun, parts=parts, tails=())
        writer = driver.open_writer(key, forged.to_json(), len(before))
        for position in range(len(before), len(whole)):
            writer.write(whole[position : position + 1])
        state = stored(writer.sync(last=True))
        writer.close()
        assert len(S3State.from_json(state).parts) == 10_000
        assert len(json.dumps(state)) < 500_000
        driver.commit(key, state, len(whole))
        assert content(driver, key) == whole

    def test_small_blobs_take_one_request_to_store(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        key = new_key()
        writer = s3.open_writer(key, s3.start(key), 0)
        writer.write(b"small")
        state = writer.sync(last=True)
        writer.close()
        s3.commit(key, state, 5)
        assert operations(s3_proxy) == ["HeadObject", "PutObject", "HeadObject"]
        assert s3_proxy.script.requests[1].headers["if-none-match"] == "*"

    def test_a_streamed_blob_takes_no_detour(self, s3: S3Driver, s3_proxy: FaultyProxy) -> None:
        """What docker does: all bytes in one request, then an empty one to close."""
        key, whole = new_key(), data_of(50)
        state, size = append(s3, key, s3.start(key), 0, whole)
        s3.commit(key, state, size)
        counted = Counter(operations(s3_proxy))
        assert counted == {
            "HeadObject": 1,
            "CreateMultipartUpload": 1,
            "UploadPart": 3,
            "CompleteMultipartUpload": 1,
        }
        assert content(s3, key) == whole

    def test_parts_in_files_when_memory_is_taken(
        self, s3_proxy: FaultyProxy, options: S3Options
    ) -> None:
        driver = S3Driver(replace(options, buffer_memory_bytes=20))
        key, whole = new_key(), data_of(1_000)
        state, size = sent(driver, key, [whole[:3], whole[3:700], whole[700:703], whole[703:]])
        driver.commit(key, state, size)
        assert content(driver, key) == whole
        assert driver._memory.left_bytes == 20

    def test_memory_is_given_back(self, s3: S3Driver, options: S3Options) -> None:
        key = new_key()
        writer = s3.open_writer(key, s3.start(key), 0)
        writer.write(data_of(100))
        writer.close()
        state, size = sent(s3, key, [data_of(100), b"ab", data_of(300)])
        s3.commit(key, state, size)
        assert s3._memory.left_bytes == options.buffer_memory_bytes


class TestTails:
    def test_small_chunks_by_any_process(self, options: S3Options) -> None:
        """Each request goes to another driver than the one before, as to another replica."""
        replicas = itertools.cycle([S3Driver(options) for _ in range(3)])
        key, whole = new_key(), data_of(200)
        state, size = next(replicas).start(key), 0
        while size < len(whole):
            state, size = append(next(replicas), key, state, size, whole[size : size + 3])
        next(replicas).commit(key, state, size)
        assert content(next(replicas), key) == whole

    def test_lie_below_uploads_and_go_with_the_commit(
        self, s3: S3Driver, options: S3Options, s3_proxy: FaultyProxy
    ) -> None:
        key = new_key()
        state, size = sent(s3, key, [b"abc", b"d"])
        names = object_names(s3_proxy, options)
        folder = key.replace("blobs", "uploads")
        assert len(names) == 2
        assert all(name.startswith(f"{options.prefix}{folder}/tail.") for name in names)
        s3.commit(key, state, size)
        assert object_names(s3_proxy, options) == [options.prefix + key]
        assert content(s3, key) == b"abcd"

    def test_many_are_merged(self, options: S3Options) -> None:
        """One byte at a time costs a few times its bytes, not the square of them."""
        proxy_free = replace(options, schedule=PartSchedule(((1_000, 10),), 1_000))
        driver = S3Driver(proxy_free)
        key, whole = new_key(), data_of(3 * TAILS + 1)
        state, size = sent(driver, key, [whole[i : i + 1] for i in range(len(whole))])
        known = S3State.from_json(state)
        assert len(known.tails) <= TAILS
        driver.commit(key, state, size)
        assert content(driver, key) == whole

    def test_spent_ones_stay_until_the_next_writer(self, s3: S3Driver) -> None:
        key = new_key()
        before, size = sent(s3, key, [b"abc"])
        after, _ = append(s3, key, before, size, data_of(40))
        assert len(S3State.from_json(after).spent) == 1
        # The new state was never recorded: the old one still works, twice.
        after, total = append(s3, key, before, size, b"defgh")
        last, total = append(s3, key, after, total, b"ij")
        assert before != after
        with pytest.raises(UploadMissing):
            s3.open_writer(key, before, size)
        s3.commit(key, last, total)
        assert content(s3, key) == b"abcdefghij"

    def test_a_lost_tail_is_noticed(
        self, s3: S3Driver, s3_proxy: FaultyProxy, options: S3Options
    ) -> None:
        key = new_key()
        state, size = sent(s3, key, [b"ab", b"cd"])
        (first, _) = object_names(s3_proxy, options)
        s3_proxy.server.client().delete_object(Bucket=options.bucket, Key=first)
        with pytest.raises(UploadMissing):
            s3.commit(key, state, size)
        assert s3.stat(key) is None


class TestCommits:
    def test_nothing_is_ever_copied_or_looked_up_part_by_part(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        for sizes in ([0], [3], [21], [3, 4], [500], [1, 1, 60, 2], [300, 3, 300]):
            key = new_key()
            state, size = sent(s3, key, [data_of(size) for size in sizes])
            s3.commit(key, state, size)
            s3.commit(key, state, size)
            assert s3.stat(key) == size
        aborted = new_key()
        state, _ = sent(s3, aborted, [data_of(300), b"abc"])
        s3.abort(aborted, state)
        list(s3.list_uploads())
        list(s3.list_blobs())
        s3.check()
        seen = set(operations(s3_proxy))
        assert seen & FORBIDDEN == set()
        assert {"CreateMultipartUpload", "UploadPart", "AbortMultipartUpload"} <= seen

    @pytest.mark.parametrize("is_last", [True, False])
    def test_a_second_writer_loses_to_what_is_stored(self, s3: S3Driver, is_last: bool) -> None:
        """A writer that lost its claim cannot put other bytes in the place of a blob."""
        key = new_key()
        late = s3.open_writer(key, s3.start(key), 0)
        late.write(b"other bytes")
        put(s3, b"the bytes", key)
        with pytest.raises(UploadMissing):
            s3.commit(key, late.sync(last=is_last), late.offset)
        late.close()
        assert content(s3, key) == b"the bytes"

    def test_a_second_multipart_upload_loses_too(self, s3: S3Driver) -> None:
        key = new_key()
        late = s3.open_writer(key, s3.start(key), 0)
        late.write(data_of(200, seed=2))
        put(s3, data_of(200), key)
        with pytest.raises(UploadMissing):
            s3.commit(key, late.sync(last=True), late.offset)
        late.close()
        assert content(s3, key) == data_of(200)

    def test_the_same_parts_sent_by_two_writers(self, s3: S3Driver) -> None:
        """A client that repeats a request meets its own first try."""
        key, whole = new_key(), data_of(200)
        state, size = sent(s3, key, [whole[:60]])
        first, second = (s3.open_writer(key, state, size) for _ in range(2))
        for writer in (first, second):
            writer.write(whole[60:])
        late = first.sync()
        state = second.sync()
        first.close()
        second.close()
        assert S3State.from_json(late).parts == S3State.from_json(state).parts
        s3.commit(key, state, 200)
        assert content(s3, key) == whole

    def test_other_parts_of_a_late_writer_are_noticed(self, s3: S3Driver) -> None:
        key = new_key()
        state, size = sent(s3, key, [data_of(60)])
        late = s3.open_writer(key, state, size)
        state, size = append(s3, key, state, size, data_of(100, seed=2))
        late.write(data_of(100, seed=3))
        late.sync()
        late.close()
        with pytest.raises(UploadMissing):
            s3.commit(key, state, size)
        assert s3.stat(key) is None

    def test_going_on_after_the_last_sync_of_a_small_blob(self, s3: S3Driver) -> None:
        for more in (b"", b"d", data_of(300)):
            key = new_key()
            writer = s3.open_writer(key, s3.start(key), 0)
            writer.write(b"abc")
            state = stored(writer.sync(last=True))
            writer.close()
            state, size = append(s3, key, state, 3, more)
            writer = s3.open_writer(key, state, size)
            writer.write(b"!")
            state = stored(writer.sync(last=True))
            writer.close()
            s3.commit(key, state, size + 1)
            s3.commit(key, state, size + 1)
            assert content(s3, key) == b"abc" + more + b"!"
            assert list(s3.list_uploads()) == []

    def test_abort_takes_what_no_state_names(self, s3: S3Driver) -> None:
        key = new_key()
        crashed = s3.open_writer(key, s3.start(key), 0)
        crashed.write(data_of(100))
        crashed.sync()
        append(s3, key, s3.start(key), 0, b"abc")
        assert [upload.key for upload in s3.list_uploads()] == [key]
        s3.abort(key, s3.start(key))
        assert list(s3.list_uploads()) == []
        crashed.close()

    def test_a_writer_that_stored_nothing_leaves_nothing(
        self, s3: S3Driver, s3_proxy: FaultyProxy
    ) -> None:
        key = new_key()
        writer = s3.open_writer(key, s3.start(key), 0)
        writer.write(data_of(100))
        writer.close()
        assert "UploadPart" in operations(s3_proxy)
        assert list(s3.list_uploads()) == []

    def test_uploads_are_listed_once_with_the_bytes_of_tails(self, s3: S3Driver) -> None:
        parted, tailed, both = new_key(), new_key(), new_key()
        sent(s3, parted, [data_of(60)])
        sent(s3, tailed, [b"ab", b"cd"])
        sent(s3, both, [data_of(60), b"abc"])
        found = {upload.key: upload.size for upload in s3.list_uploads()}
        assert found == {parted: 0, tailed: 4, both: 3}
        assert len(list(s3.list_uploads())) == 3


def requests(proxy: FaultyProxy, operation: str) -> list[SentRequest]:
    return [one for one in proxy.script.requests if one.operation == operation]


def operations(proxy: FaultyProxy) -> list[str]:
    return [one.operation for one in proxy.script.requests]


def part_number(request: SentRequest) -> int:
    return int(parse_qs(urlsplit(request.target).query)["partNumber"][0])


def object_names(proxy: FaultyProxy, options: S3Options) -> list[str]:
    answer = proxy.server.client().list_objects_v2(Bucket=options.bucket, Prefix=options.prefix)
    return [entry["Key"] for entry in answer.get("Contents", ())]
