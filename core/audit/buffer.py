"""Records too frequent for a transaction each: pulls and token logins.

Every process keeps them in memory and one thread writes them twice a second in one
transaction, so kill -9 loses at most half a second of them. When the database cannot take
them they stay in memory; once ``MAXIMUM_WAITING`` wait, the request that brings the next one
flushes itself and fails if that fails, rather than pull unrecorded.
"""

import atexit
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from django.db import (
    DataError,
    IntegrityError,
    connection,
    transaction,
)

from core.audit.services import write_many
from core.audit.types import AuditRecord

log = structlog.get_logger(__name__)

FLUSH_INTERVAL_SECONDS = 0.5
MAXIMUM_WAITING = 50_000

Record = TypeVar("Record")


@dataclass(slots=True)
class Channel(Generic[Record]):
    """One kind of buffered record and the function that stores a batch of them.

    ``latest`` are those of the waiting ones that may still change, by what they have in common
    with others (``Buffer.fold``).
    """

    store: Callable[[Sequence[Record]], None]
    waiting: list[Record] = field(default_factory=list)
    latest: dict[Hashable, Record] = field(default_factory=dict)

    def take(self) -> list[Record]:
        """Return what waits, which changes no more."""
        taken, self.waiting, self.latest = self.waiting, [], {}
        return taken


Taken = list[tuple[Channel[Any], list[Any]]]


class Buffer:
    """Records of one process that wait for the next flush."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._flushing = threading.Lock()
        self._channels: dict[str, Channel[Any]] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def channel(self, name: str, store: Callable[[Sequence[Record]], None]) -> Channel[Record]:
        """Register a kind of record once, at import, and return its channel."""
        with self._guard:
            return self._channels.setdefault(name, Channel(store))

    def add(self, channel: Channel[Record], record: Record) -> None:
        """Keep a record for the next flush, after a flush here when the buffer is full.

        Raises ``DatabaseError`` or ``InterfaceError`` when that fails; the record is not kept then.
        """
        if self.is_full:
            self.flush()
        self.keep(channel, record)

    def keep(self, channel: Channel[Record], record: Record) -> None:
        """Do the same without I/O, for an event loop; the caller sees to a full buffer."""
        with self._guard:
            self._append(channel, record)

    def fold(
        self,
        channel: Channel[Record],
        key: Hashable,
        *,
        make: Callable[[], Record],
        repeat: Callable[[Record], None],
    ) -> None:
        """Let a record that waits under the key stand for one more, or make and keep one.

        No I/O; the caller sees to a full buffer.
        """
        with self._guard:
            record = channel.latest.get(key)
            if record is not None:
                repeat(record)
                self._see_to_a_thread()
            else:
                record = channel.latest[key] = make()
                self._append(channel, record)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that a request must not be answered before a flush."""
        # Asked with every request for a manifest or a token, and a generator costs more than this.
        most = 0
        for channel in self._channels.values():
            most = max(most, len(channel.waiting))
        return most >= MAXIMUM_WAITING

    def flush(self) -> None:
        """Write everything that waits in one transaction; on failure keep it waiting."""
        with self._flushing:
            with self._guard:
                taken = [(channel, channel.take()) for channel in self._channels.values()]
            try:
                _store_together(taken)
            except Exception as error:
                if not _blames_a_record(error):
                    self._put_back(taken)
                    raise
                self._store_one_by_one(taken)

    def close(self) -> None:
        """Stop the thread and write what is left."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None
        self._stop.clear()

    def after_fork(self) -> None:
        """Forget the parent's records and thread: the parent still has them."""
        self._guard = threading.Lock()
        self._flushing = threading.Lock()
        self._stop = threading.Event()
        self._thread = None
        self.forget()

    def forget(self) -> None:
        """Drop what waits without writing it."""
        with self._guard:
            for channel in self._channels.values():
                channel.take()

    def _append(self, channel: Channel[Record], record: Record) -> None:
        channel.waiting.append(record)
        self._see_to_a_thread()

    def _see_to_a_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _put_back(self, taken: Taken) -> None:
        with self._guard:
            for channel, records in taken:
                channel.waiting = records + channel.waiting

    def _store_one_by_one(self, taken: Taken) -> None:
        """Keep one record that cannot be stored from holding back all others."""
        for channel, records in taken:
            while records:
                try:
                    with transaction.atomic():
                        channel.store(records[:1])
                except Exception as error:
                    if not _blames_a_record(error):
                        self._put_back(taken)
                        raise
                    log.exception("buffered_record_refused", record=repr(records[0]))
                del records[0]

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="audit-buffer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(FLUSH_INTERVAL_SECONDS)
            try:
                self.flush()
            except Exception:  # the thread outlives whatever happens; the records wait
                log.exception("audit_flush_failed")
                connection.close()
        connection.close()


def _store_together(taken: Taken) -> None:
    if not any(records for _channel, records in taken):
        return
    with transaction.atomic():
        for channel, records in taken:
            if records:
                channel.store(records)


def _blames_a_record(error: Exception) -> bool:
    """Say whether trying again cannot help; else the database was not able to store anything."""
    return isinstance(error, DataError | IntegrityError | TypeError | ValueError)


BUFFER = Buffer()
_AUDIT: Channel[AuditRecord] = BUFFER.channel("audit", write_many)
atexit.register(BUFFER.close)
os.register_at_fork(after_in_child=BUFFER.after_fork)


def record_buffered(record: AuditRecord) -> None:
    """Keep an audit record for the next flush, at most half a second away."""
    BUFFER.add(_AUDIT, record)


def keep_buffered(record: AuditRecord) -> None:
    """Do the same without I/O, for an event loop; the caller sees to a full buffer."""
    BUFFER.keep(_AUDIT, record)
