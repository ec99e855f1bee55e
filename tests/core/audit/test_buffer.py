"""Buffered audit records: flushed in half a second, kept on failure, dropped never silently."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

from core.audit import buffer
from core.audit.models import AuditEntry
from core.audit.types import AuditRecord
from core.common.origin import Origin
from core.rbac.types import Actor
from tests.support.buffering import FLUSH_INTERVAL_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _stop_the_thread() -> Iterator[None]:
    """Leave neither a record nor the flushing thread's connection to the next test."""
    yield
    buffer.BUFFER.close()


def make_record(label: str = "library/app:1") -> AuditRecord:
    """Build a pull of an anonymous client."""
    actor = Actor.anonymous(Origin("192.0.2.7", "docker/29", "request-1"))
    return AuditRecord("artifact.manifest.pulled", actor, "artifact", label)


def test_records_are_stored_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FLUSH_INTERVAL_SECONDS <= 0.5
    monkeypatch.setattr(buffer, "FLUSH_INTERVAL_SECONDS", FLUSH_INTERVAL_SECONDS)
    buffer.record_buffered(make_record())
    deadline = time.monotonic() + 5
    while not AuditEntry.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.address) == ("artifact.manifest.pulled", "192.0.2.7")
    assert (entry.actor_kind, entry.user_agent) == ("anonymous", "docker/29")


def test_concurrent_records_are_all_stored_once() -> None:
    def add_many(thread: int) -> None:
        for number in range(50):
            buffer.record_buffered(make_record(f"library/app:{thread}-{number}"))

    threads = [threading.Thread(target=add_many, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    buffer.BUFFER.flush()
    labels = list(AuditEntry.objects.values_list("target_label", flat=True))
    assert len(labels) == len(set(labels)) == 400


def test_records_wait_when_the_database_cannot_take_them() -> None:
    stored: list[str] = []
    failures = [DatabaseError("away")]

    def store(records: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        stored.extend(records)

    own = buffer.Buffer()
    channel = own.channel("test", store)
    channel.waiting.extend(["first", "second"])
    with pytest.raises(DatabaseError):
        own.flush()
    channel.waiting.append("third")
    own.flush()
    assert stored == ["first", "second", "third"]


def test_one_refused_record_does_not_hold_back_the_others() -> None:
    stored: list[str] = []

    def store(records: Sequence[str]) -> None:
        if "bad" in records:
            raise DataError("refused")
        stored.extend(records)

    own = buffer.Buffer()
    own.channel("test", store).waiting.extend(["first", "bad", "second"])
    own.flush()
    assert stored == ["first", "second"]


@pytest.mark.parametrize("failure", [InterfaceError("closed"), OperationalError("away")])
def test_records_wait_when_the_database_goes_away_between_single_records(
    failure: Exception,
) -> None:
    stored: list[str] = []
    failures = [failure]

    def store(records: Sequence[str]) -> None:
        if len(records) > 1:
            raise DataError("one of them is refused")
        if stored and failures:
            raise failures.pop()
        stored.extend(records)

    own = buffer.Buffer()
    channel = own.channel("test", store)
    channel.waiting.extend(["first", "second", "third"])
    with pytest.raises(type(failure)):
        own.flush()
    assert channel.waiting == ["second", "third"]
    own.flush()
    assert stored == ["first", "second", "third"]


@pytest.mark.parametrize("failure", [IntegrityError("gone"), ValueError("no such form")])
def test_a_record_that_can_never_be_stored_is_dropped_alone(failure: Exception) -> None:
    stored: list[str] = []

    def store(records: Sequence[str]) -> None:
        if "bad" in records:
            raise failure
        stored.extend(records)

    own = buffer.Buffer()
    own.channel("test", store).waiting.extend(["first", "bad", "second"])
    own.flush()
    assert stored == ["first", "second"]


def test_the_thread_outlives_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "FLUSH_INTERVAL_SECONDS", 0.01)
    stored: list[str] = []
    failures = [InterfaceError("connection already closed"), InterfaceError("again")]

    def store(records: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        stored.extend(records)

    own = buffer.Buffer()
    channel = own.channel("test", store)
    own.add(channel, "first")
    deadline = time.monotonic() + 5
    while not stored and time.monotonic() < deadline:
        time.sleep(0.01)
    own.close()
    assert stored == ["first"]


def test_a_thread_that_died_is_started_again() -> None:
    own = buffer.Buffer()
    channel = own.channel("test", lambda _records: None)
    dead = threading.Thread(target=lambda: None)
    dead.start()
    dead.join()
    own._thread = dead
    own.add(channel, "first")
    assert own._thread is not dead
    assert own._thread.is_alive()
    own.close()


def test_a_full_buffer_refuses_rather_than_forgets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffer, "MAXIMUM_WAITING", 1)

    def store(records: Sequence[str]) -> None:
        raise DatabaseError("away")

    own = buffer.Buffer()
    channel = own.channel("test", store)
    own.add(channel, "first")
    for _ in range(2):
        with pytest.raises(DatabaseError):
            own.add(channel, "second")
    # What was refused is not told of, however often it is tried.
    assert channel.waiting == ["first"]
    channel.waiting.clear()
    own.close()


def test_hostile_text_is_stored_without_nul_and_cut() -> None:
    actor = Actor.anonymous(Origin(None, "x\x00" * 2000, "r" * 300))
    buffer.record_buffered(AuditRecord("user.login", actor, "user", "na\x00me"))
    buffer.BUFFER.flush()
    entry = AuditEntry.objects.get()
    assert entry.user_agent == "x" * 512
    assert len(entry.request_id) == 64
    assert entry.target_label == "name"


def test_keeping_in_an_event_loop_never_writes_and_says_when_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffer, "MAXIMUM_WAITING", 2)

    async def keep_many() -> list[bool]:
        fullness = []
        for number in range(4):
            buffer.keep_buffered(make_record(f"library/app:{number}"))
            fullness.append(buffer.BUFFER.is_full)
        return fullness

    assert asyncio.run(keep_many()) == [False, True, True, True]
    buffer.BUFFER.flush()
    assert AuditEntry.objects.count() == 4
    assert not buffer.BUFFER.is_full


def test_a_write_from_an_event_loop_is_refused_and_loses_nothing() -> None:
    buffer.keep_buffered(make_record())

    async def flush() -> None:
        buffer.BUFFER.flush()

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(flush())
    buffer.BUFFER.flush()
    assert AuditEntry.objects.count() == 1


def test_what_is_folded_counts_once_each_whenever_it_is_flushed() -> None:
    stored: list[tuple[str, int]] = []
    own = buffer.Buffer()
    channel: buffer.Channel[list[int]] = own.channel(
        "test", lambda records: stored.extend(("store", record[0]) for record in records)
    )

    def repeat(record: list[int]) -> None:
        record[0] += 1

    def work(_number: int) -> None:
        for _ in range(500):
            own.fold(channel, "same", make=lambda: [1], repeat=repeat)
            own.fold(channel, "other", make=lambda: [1], repeat=repeat)

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(work, number) for number in range(4)]
        while not all(future.done() for future in working):
            own.flush()
        for future in working:
            future.result()
    own.flush()
    assert sum(times for _, times in stored) == 4 * 2 * 500
    own.fold(channel, "same", make=lambda: [1], repeat=repeat)
    own.forget()
    own.fold(channel, "same", make=lambda: [7], repeat=repeat)
    assert channel.waiting == [[7]]
    own.forget()
    own.close()


def test_a_repetition_also_starts_a_thread_that_died() -> None:
    own = buffer.Buffer()
    channel: buffer.Channel[list[int]] = own.channel("test", lambda _records: None)
    channel.latest["same"] = [1]
    own.fold(channel, "same", make=list, repeat=lambda record: record.append(2))
    assert channel.latest["same"] == [1, 2]
    assert own._thread is not None
    assert own._thread.is_alive()
    own.close()
