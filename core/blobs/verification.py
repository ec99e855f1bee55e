"""Comparing stored blobs with their digests, and recording what is found.

A finding is recorded only if the row still names the object that was read: a blob that was
healed, moved or removed meanwhile is left alone. A storage that fails to answer proves nothing
and changes nothing.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import structlog

from core.audit import services as audit
from core.blobs.errors import TooManyLosses
from core.blobs.pace import Pace
from core.blobs.rules import is_suspicious
from core.common.clock import now
from core.database import raw
from core.database.transactions import durable_write
from core.oci.digest import Digest
from core.rbac.types import Actor
from core.storage.errors import BlobMissing, StorageFailed, StorageMisconfigured
from core.storage.page_cache import PassingRead
from core.storage.selection import driver_of

log = structlog.get_logger(__name__)

READ_BYTES = 1 << 20
DAMAGED_BATCH = 100

HEALING = (
    "push an image that has the blob again, or restore the object from a backup and run "
    "`roadstead fsck`"
)
"""What the log says about every damaged blob."""

_COLUMNS = "b.id, b.digest, b.size_bytes, b.store, b.storage_key, b.damaged_at IS NOT NULL"

# Spelled as the index is.
_OLDEST = f"""
SELECT {_COLUMNS}, coalesce(b.verified_at, b.created_at)
  FROM blobs_blob b
 WHERE (coalesce(b.verified_at, b.created_at), b.id) > (%s, %s)
   AND coalesce(b.verified_at, b.created_at) < %s
 ORDER BY coalesce(b.verified_at, b.created_at), b.id LIMIT %s
"""  # noqa: S608  # made of constants

_BY_ID = f"""
SELECT {_COLUMNS} FROM blobs_blob b
 WHERE b.id > %s AND (%s::text IS NULL OR b.store = %s) ORDER BY b.id LIMIT %s
"""  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM blobs_blob b WHERE b.id = %s"  # noqa: S608
_DAMAGED = f"""
SELECT {_COLUMNS} FROM blobs_blob b WHERE b.damaged_at IS NOT NULL AND b.id > %s
 ORDER BY b.id LIMIT %s
"""  # noqa: S608

# In the order of ids, so that two who verify the same blobs do not wait in a ring.
_CONFIRM = """
UPDATE blobs_blob b SET verified_at = %s
  FROM (SELECT c.id FROM blobs_blob c
          JOIN unnest(%s::bigint[], %s::text[]) AS seen(id, storage_key)
            ON c.id = seen.id AND c.storage_key = seen.storage_key
         ORDER BY c.id FOR NO KEY UPDATE OF c) AS same
 WHERE b.id = same.id
"""

_CLEAR = """
UPDATE blobs_blob SET verified_at = %s, damaged_at = NULL
 WHERE id = %s AND storage_key = %s AND damaged_at IS NOT NULL RETURNING id
"""

_MARK = """
UPDATE blobs_blob SET verified_at = %s, damaged_at = %s
 WHERE id = %s AND storage_key = %s AND damaged_at IS NULL RETURNING id
"""


class Verdict(StrEnum):
    """What reading an object has shown."""

    SOUND = "sound"
    WRONG = "wrong content"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    """The storage did not answer, so nothing is known."""

    @property
    def is_damage(self) -> bool:
        """Whether the blob cannot be served from this object."""
        return self in (Verdict.WRONG, Verdict.MISSING)


class KnownBlob(NamedTuple):
    """A blob's row as it was read."""

    id: int
    digest: Digest
    size_bytes: int
    store: str
    storage_key: str
    is_marked: bool


def oldest_verified(
    after: tuple[datetime, int], before: datetime, limit: int
) -> list[tuple[KnownBlob, datetime]]:
    """Return the blobs verified longest ago, and when that was.

    ``after`` is time and id of the last one of the page before; only blobs that nobody has
    verified since ``before`` are returned.
    """
    rows = raw.fetch_all(_OLDEST, (*after, before, limit))
    return [(_known(row), row[6]) for row in rows]


def list_blobs(after_id: int, limit: int, *, store: str | None = None) -> list[KnownBlob]:
    """Return the blobs behind an id, in the order of ids: those of one storage, or all."""
    return [_known(row) for row in raw.fetch_all(_BY_ID, (after_id, store, store, limit))]


def list_damaged(after_id: int, limit: int) -> list[KnownBlob]:
    """Return the blobs behind an id that are marked as damaged."""
    return [_known(row) for row in raw.fetch_all(_DAMAGED, (after_id, limit))]


def find_blob(blob_id: int) -> KnownBlob | None:
    """Return the blob as its row is now, None when it is gone."""
    row = raw.fetch_one(_ONE, (blob_id,))
    return _known(row) if row else None


def examine(blob: KnownBlob, *, pace: Pace, on_read: Callable[[int], None]) -> Verdict:
    """Read the object to its end and compare; ``on_read`` learns of every piece's size."""
    running, length = hashlib.new(blob.digest.hasher), 0
    try:
        reader = driver_of(blob.store).open_blob(blob.storage_key)
        try:
            if reader.size != blob.size_bytes:
                return Verdict.WRONG
            passing = PassingRead(reader)
            while piece := passing.read(READ_BYTES):
                running.update(piece)
                length += len(piece)
                pace.keep(len(piece))
                on_read(len(piece))
        finally:
            reader.close()
    except BlobMissing:
        return Verdict.MISSING
    except (StorageFailed, StorageMisconfigured):
        log.warning("blob_unreadable", digest=str(blob.digest), store=blob.store, exc_info=True)
        return Verdict.UNREADABLE
    is_same = length == blob.size_bytes and running.hexdigest() == blob.digest.hex
    return Verdict.SOUND if is_same else Verdict.WRONG


def confirm(blobs: Sequence[KnownBlob]) -> None:
    """Record that the blobs, none of which was marked, are what their digests say."""
    ids, keys = [blob.id for blob in blobs], [blob.storage_key for blob in blobs]
    raw.execute(_CONFIRM, (now(), ids, keys))


@durable_write
def clear(blob: KnownBlob, *, actor: Actor) -> bool:
    """Take the mark from a blob that proved sound; False when it is not that blob any more."""
    if raw.fetch_one(_CLEAR, (now(), blob.id, blob.storage_key)) is None:
        return False
    _record("blob.healed", blob, {"by": "verification"}, actor=actor)
    return True


@durable_write
def mark(blob: KnownBlob, verdict: Verdict, *, actor: Actor) -> bool:
    """Mark a blob as damaged; False when it was already, or is not that blob any more.

    From then on it is not served, and unknown to whoever may push, whose upload heals it.
    """
    moment = now()
    if raw.fetch_one(_MARK, (moment, moment, blob.id, blob.storage_key)) is None:
        return False
    _record("blob.damaged", blob, {"reason": str(verdict), "store": blob.store}, actor=actor)
    return True


class Verifier:
    """Verifies one blob after the other and records the verdicts. Any number of threads.

    Raises TooManyLosses when it looks as if the storage, not the blobs, were at fault.
    """

    def __init__(self, *, actor: Actor, pace: Pace, on_read: Callable[[int], None]) -> None:
        self._actor = actor
        self._pace = pace
        self._on_read = on_read
        self._lock = threading.Lock()
        self._sound: list[KnownBlob] = []
        self._lost = 0
        self.counts = dict.fromkeys(Verdict, 0)
        self.cleared = 0
        """How many blobs have lost the mark of damage."""

    def verify_marked(self) -> None:
        """Verify what is marked as damaged, and let be served what somebody has restored."""
        after_id = 0
        while batch := list_damaged(after_id, DAMAGED_BATCH):
            for blob in batch:
                self.verify(blob)
            after_id = batch[-1].id

    def verify(self, blob: KnownBlob) -> Verdict:
        """Compare a blob with its digest; a sound one is recorded with the next ``flush``."""
        verdict = examine(blob, pace=self._pace, on_read=self._on_read)
        self._count(blob, verdict)
        if verdict.is_damage:
            if mark(blob, verdict, actor=self._actor):
                log.error(
                    "blob_damaged",
                    digest=str(blob.digest),
                    store=blob.store,
                    storage_key=blob.storage_key,
                    reason=str(verdict),
                    advice=HEALING,
                )
        elif verdict is Verdict.SOUND and blob.is_marked:
            is_cleared = clear(blob, actor=self._actor)
            with self._lock:
                self.cleared += is_cleared
        elif verdict is Verdict.SOUND:
            with self._lock:
                self._sound.append(blob)
        return verdict

    def flush(self) -> None:
        """Record the blobs that proved sound since the last time."""
        with self._lock:
            sound, self._sound = self._sound, []
        if sound:
            confirm(sound)

    def _count(self, blob: KnownBlob, verdict: Verdict) -> None:
        with self._lock:
            self.counts[verdict] += 1
            # What is known to be damaged says nothing new about the storage as a whole.
            self._lost += verdict in (Verdict.MISSING, Verdict.UNREADABLE) and not blob.is_marked
            lost = self._lost
            examined = sum(self.counts.values())
        if is_suspicious(unmatched=lost, objects=examined):
            raise TooManyLosses(detail={"lost": lost, "examined": examined})


def _known(row: raw.Row) -> KnownBlob:
    return KnownBlob(row[0], Digest.from_bytes(bytes(row[1])), *row[2:6])


def _record(action: str, blob: KnownBlob, detail: dict[str, str], *, actor: Actor) -> None:
    audit.record(
        action,
        actor,
        target_kind="blob",
        target_label=str(blob.digest),
        target_id=blob.id,
        detail=detail,
    )
