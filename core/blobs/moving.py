"""Moving blobs from the former storage to the current one, while both are in use.

A blob is copied under a key of its own, and hashed on the way. Then one transaction points its
row at the copy and condemns the former object, which stays for those who still read it. The copy
is condemned before its first byte and pardoned by that transaction: whatever breaks off in
between leaves a row that names what to clean, and the next migration begins that blob anew.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from uuid import uuid4

import structlog
from django.db import DatabaseError, connection

from core.audit import services as audit
from core.blobs import verification
from core.blobs.errors import MigrationStuck
from core.blobs.pace import Pace
from core.blobs.storing import StoredAt, condemn_locked
from core.blobs.verification import READ_BYTES, KnownBlob, Verdict
from core.common import failpoints
from core.common.clock import now
from core.common.errors import DomainError
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.storage.errors import BlobMissing
from core.storage.keys import key_for_upload
from core.storage.page_cache import PassingRead
from core.storage.selection import driver_of
from core.storage.types import StorageDriver, UploadWriter

log = structlog.get_logger(__name__)

RESERVED_FOR = timedelta(hours=24)
"""How long a copy that nobody works on any more stays."""
RENEW_SECONDS = 600.0
GIVE_UP_AFTER = 20
"""So many failures in a row mean that a storage is away."""

_ADOPT = """
UPDATE blobs_blob SET store = %s, storage_key = %s, verified_at = %s
 WHERE id = %s AND storage_key = %s AND damaged_at IS NULL
"""
_PARDON = "DELETE FROM blobs_condemnedobject WHERE storage_key = %s AND removing_at IS NULL"
_KEEP = """
UPDATE blobs_condemnedobject SET kept_until = clock_timestamp() + %s
 WHERE storage_key = %s AND removing_at IS NULL
"""


class Outcome(StrEnum):
    """What became of one blob."""

    MOVED = "moved"
    CHANGED = "changed"
    """It was healed, moved or removed by somebody else meanwhile."""
    DAMAGED = "damaged"
    """Its bytes are not those of its digest; it stays where it is, and is marked."""
    FAILED = "failed"
    """A storage or the database failed; it stays where it is."""


class Migration:
    """Moves all blobs of one storage to another, several at once."""

    def __init__(
        self,
        source: str,
        target: str,
        *,
        actor: Actor,
        pace: Pace,
        jobs: int,
        on_read: Callable[[int], None],
    ) -> None:
        """Prepare; ``on_read`` learns of every piece's size, from several threads."""
        self._source = source
        self._target = target
        self._actor = actor
        self._pace = pace
        self._jobs = jobs
        self._on_read = on_read
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._blobs = _blobs_in(source)
        self._failures_in_a_row = 0
        self.counts = dict.fromkeys(Outcome, 0)

    def run(self) -> None:
        """Try each blob once. Raises MigrationStuck when nothing succeeds any more."""
        try:
            with ThreadPoolExecutor(self._jobs) as threads:
                workers = [threads.submit(self._work) for _ in range(self._jobs)]
                try:
                    for worker in workers:
                        worker.result()
                except BaseException:
                    self._stop.set()
                    raise
        finally:
            _record_migration(self._source, self._target, dict(self.counts), actor=self._actor)

    def _work(self) -> None:
        """Move one blob after the other, in a thread with a database connection of its own."""
        try:
            while (blob := self._next_blob()) is not None:
                self._move(blob)
                if self._failures_in_a_row >= GIVE_UP_AFTER:
                    raise MigrationStuck
        finally:
            connection.close()

    def _next_blob(self) -> KnownBlob | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._blobs, None)

    def _move(self, blob: KnownBlob) -> None:
        try:
            outcome = move_blob(
                blob,
                target=self._target,
                actor=self._actor,
                pace=self._pace,
                on_read=self._go_on,
            )
        except _Stopped:
            return
        except (DomainError, DatabaseError):
            log.warning("blob_not_moved", digest=str(blob.digest), exc_info=True)
            outcome = Outcome.FAILED
            connection.close_if_unusable_or_obsolete()
        with self._lock:
            self.counts[outcome] += 1
            failed = outcome is Outcome.FAILED
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0

    def _go_on(self, read_bytes: int) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._on_read(read_bytes)


class _Stopped(Exception):
    """The migration ends before this blob is copied."""


def move_blob(
    blob: KnownBlob, *, target: str, actor: Actor, pace: Pace, on_read: Callable[[int], None]
) -> Outcome:
    """Copy a blob to another storage, and let its row say so.

    Raises the errors of both storages and ``django.db.DatabaseError``; the blob is where it
    was then.
    """
    copy = StoredAt(target, key_for_upload(uuid4()))
    _reserve(copy)
    adopted = False
    try:
        verdict = _copy(blob, copy, pace, on_read)
        if verdict is not Verdict.SOUND:
            verification.mark(blob, verdict, actor=actor)
            return Outcome.DAMAGED
        failpoints.reach("move.copied")
        if blob.is_marked:
            verification.clear(blob, actor=actor)
        adopted = _adopt(blob, copy)
    finally:
        if not adopted:
            # The next sweep takes it.
            raw.execute(_KEEP, (timedelta(0), copy.storage_key))
    failpoints.reach("move.adopted")
    return Outcome.MOVED if adopted else Outcome.CHANGED


def _copy(blob: KnownBlob, copy: StoredAt, pace: Pace, on_read: Callable[[int], None]) -> Verdict:
    """Copy the bytes as they are, durably, and tell whether they are those of the digest."""
    try:
        reader = driver_of(blob.store).open_blob(blob.storage_key)
    except BlobMissing:
        return Verdict.MISSING
    driver = driver_of(copy.store)
    writer = _Copy(driver, copy.storage_key)
    try:
        running = hashlib.new(blob.digest.hasher)
        passing = PassingRead(reader)
        while piece := passing.read(READ_BYTES):
            running.update(piece)
            writer.write(piece)
            pace.keep(len(piece))
            on_read(len(piece))
        if writer.size != blob.size_bytes or running.hexdigest() != blob.digest.hex:
            return Verdict.WRONG
        writer.commit()
    except BlobMissing:
        return Verdict.MISSING
    finally:
        reader.close()
        writer.close()
    return Verdict.SOUND


class _Copy:
    """An object in the making, whose reservation is renewed as long as bytes come."""

    def __init__(self, driver: StorageDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._state = driver.start(key)
        self._writer: UploadWriter | None = None
        self._renewed_at = time.monotonic()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        if self._writer is None:
            self._writer = self._driver.open_writer(self._key, self._state, 0)
        self._writer.write(piece)
        self.size += len(piece)
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            raw.execute(_KEEP, (RESERVED_FOR, self._key))
            self._renewed_at = time.monotonic()

    def commit(self) -> None:
        """Make the object durable."""
        if self._writer is not None:
            self._state = self._writer.sync(last=True)
            self.close()
        self._driver.commit(self._key, self._state, self.size)

    def close(self) -> None:
        """Let go of the object."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


@durable_write
def _reserve(copy: StoredAt) -> None:
    condemn_locked(copy, kept_for=RESERVED_FOR)


class _NotAdopted(Exception):
    """Rolls the transaction back: blob or copy are not what they were."""


def _adopt(blob: KnownBlob, copy: StoredAt) -> bool:
    """Point the blob at its copy; False when either has changed meanwhile."""
    try:
        _adopt_locked(blob, copy)
    except _NotAdopted:
        return False
    return True


@durable_write
def _adopt_locked(blob: KnownBlob, copy: StoredAt) -> None:
    if not raw.execute(_PARDON, (copy.storage_key,)):
        raise _NotAdopted
    if not raw.execute(_ADOPT, (*copy, now(), blob.id, blob.storage_key)):
        raise _NotAdopted
    condemn_locked(StoredAt(blob.store, blob.storage_key))


@durable_write
def _record_migration(
    source: str, target: str, counts: dict[Outcome, int], *, actor: Actor
) -> None:
    audit.record(
        "blobs.content.moved",
        actor,
        target_kind="storage",
        target_label=target,
        detail={"from": source, **{str(outcome): count for outcome, count in counts.items()}},
    )


def _blobs_in(store: str) -> Iterator[KnownBlob]:
    after_id = 0
    while batch := verification.list_blobs(after_id, 100, store=store):
        yield from batch
        after_id = batch[-1].id
