"""Storages against rows.

A storage is listed once, which costs an object store far fewer requests than asking for each
blob. Whatever does not match is then asked for by itself, between two looks at its row: only
what is wrong while the row stays the same is a problem.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from django.db import connection

from core.blobs import verification
from core.blobs.models import Blob
from core.blobs.queries import find_places, total_bytes
from core.blobs.rules import is_suspicious
from core.blobs.services import STRAY_AGE
from core.blobs.sweeping import batches, without_row
from core.blobs.unconfigured import list_unconfigured
from core.blobs.verification import KnownBlob, Verdict, Verifier
from core.common.clock import now
from core.common.text import counted
from core.integrity.types import Problem, ProblemKind, Report, Watcher
from core.storage.errors import StorageFailed, StorageMisconfigured
from core.storage.selection import driver_of, drivers
from core.storage.types import StorageDriver, StoredObject

BATCH: Final = 1_000
JOBS: Final = 8

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def check_digests(report: Report, watcher: Watcher, verifier: Verifier) -> None:
    """Read every blob, and record what is wrong or right again, as the scrub does.

    What was marked as damaged is reported by ``check_contents``, which comes after this.
    ``verifier`` advances the watcher by bytes. Raises TooManyLosses.
    """
    watcher.begin("Content", total_bytes(), is_bytes=True)
    configured = drivers()
    for batch in _blobs():
        # What nobody can look for is reported by ``check_contents`` as well.
        batch = [blob for blob in batch if blob.store in configured]
        try:
            verdicts = _side_by_side(verifier.verify, batch)
        finally:
            verifier.flush()
        for blob, verdict in zip(batch, verdicts, strict=True):
            report.counts["blobs_read"] += 1
            if verdict is Verdict.UNREADABLE:
                report.add(ProblemKind.BLOB_UNREADABLE, str(blob.digest), _place(blob))
    _count_healed(report, verifier)


def check_marked(report: Report, watcher: Watcher, verifier: Verifier) -> None:
    """Read the blobs that are marked as damaged, and record which are right again.

    The others are reported by ``check_contents``. ``verifier`` advances the watcher by bytes.
    """
    watcher.begin("Damaged blobs", None, is_bytes=True)
    verifier.verify_marked()
    _count_healed(report, verifier)


def _count_healed(report: Report, verifier: Verifier) -> None:
    if verifier.cleared:
        report.counts["blobs_healed"] = verifier.cleared


def check_contents(report: Report, watcher: Watcher) -> None:
    """Add to the report blobs without a right object, and objects without a row.

    Raises StorageFailed when a storage cannot be listed.
    """
    matching = _Ids()
    for store, driver in drivers().items():
        watcher.begin(f"Objects in {store}", None)
        _compare_objects(store, driver, matching, report, watcher)
        watcher.begin(f"Uploads in {store}", None)
        _compare_uploads(store, driver, report, watcher)
    renamed = _report_names(report)
    watcher.begin("Blobs", Blob.objects.count())
    for batch in _blobs():
        report.counts["blobs"] += len(batch)
        report.counts["bytes"] += sum(blob.size_bytes for blob in batch)
        doubtful = [
            blob.id
            for blob in batch
            if (blob.id not in matching or blob.is_marked) and blob.store not in renamed
        ]
        for problem in filter(None, _side_by_side(_look_again, doubtful)):
            report.add(problem.kind, problem.where, problem.detail)
        watcher.advance(len(batch))


def _report_names(report: Report) -> set[str]:
    """Report the storages that are there under another name, and return what rows call them."""
    renamed = set()
    for found in list_unconfigured():
        if found.holder is not None:
            renamed.add(found.store)
            detail = f"{counted(found.blobs, 'blob')}: {found.remedy}"
            report.add(ProblemKind.STORE_NAME, found.store, detail)
    return renamed


class _Ids:
    """A set of ids, one bit each: a registry may have tens of millions of blobs."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Put an id in."""
        place = number // 8
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1024 - len(self._bits)))
        self._bits[place] |= 1 << number % 8

    def __contains__(self, number: int) -> bool:
        place = number // 8
        return place < len(self._bits) and bool(self._bits[place] & 1 << number % 8)


class _Strays:
    """Keys in one storage that no row has, and whether they are old enough for the sweep."""

    def __init__(self) -> None:
        self._is_ripe: dict[str, bool] = {}
        self._objects = 0

    def look(self, batch: Sequence[StoredObject]) -> None:
        """Take a part of what is stored."""
        ripe_before = now() - STRAY_AGE
        modified = {item.key: item.modified_at for item in batch}
        self._objects += len(batch)
        self._is_ripe |= {key: modified[key] < ripe_before for key in without_row(list(modified))}

    def report(self, kind: ProblemKind, store: str, report: Report) -> None:
        """Report those that still have no row.

        Young ones are counted, because they may be of a request that has just broken off; a great
        number of them, however young, speaks of an older database.
        """
        strays = [key for part in batches(self._is_ripe) for key in without_row(part)]
        if is_suspicious(unmatched=len(strays), objects=self._objects):
            detail = f"{len(strays):,} of {counted(self._objects, 'object')}"
            report.add(ProblemKind.SUSPICIOUS_STRAYS, store, detail)
            return
        for key in strays:
            if self._is_ripe[key]:
                report.add(kind, f"{store}: {key}")
            else:
                report.counts["strays_younger_than_48_hours"] += 1


def _compare_objects(
    store: str, driver: StorageDriver, matching: _Ids, report: Report, watcher: Watcher
) -> None:
    """Report strays, and collect the ids of the blobs whose objects have the right size."""
    strays = _Strays()
    report.counts["objects"] += 0
    for batch in batches(driver.list_blobs()):
        sizes = {item.key: item.size for item in batch}
        for place in find_places(list(sizes)):
            if place.store == store and place.size_bytes == sizes[place.storage_key]:
                matching.add(place.id)
        strays.look(batch)
        report.counts["objects"] += len(batch)
        watcher.advance(len(batch))
    strays.report(ProblemKind.STRAY_OBJECT, store, report)


def _compare_uploads(store: str, driver: StorageDriver, report: Report, watcher: Watcher) -> None:
    strays = _Strays()
    report.counts["unfinished_uploads"] += 0
    for batch in batches(driver.list_uploads()):
        strays.look(batch)
        report.counts["unfinished_uploads"] += len(batch)
        watcher.advance(len(batch))
    strays.report(ProblemKind.STRAY_UPLOAD, store, report)


def _look_again(blob_id: int) -> Problem | None:
    """Return what is wrong with a blob while its row stays the same."""
    blob = verification.find_blob(blob_id)
    while blob is not None:
        problem = _problem_of(blob)
        former, blob = blob, verification.find_blob(blob_id)
        if blob == former:
            return problem
    return None


def _problem_of(blob: KnownBlob) -> Problem | None:
    where = str(blob.digest)
    try:
        driver = driver_of(blob.store)
    except StorageMisconfigured:
        return Problem(ProblemKind.BLOB_STORE, where, _place(blob))
    try:
        found = driver.stat(blob.storage_key)
    except StorageFailed:
        return Problem(ProblemKind.BLOB_UNREADABLE, where, _place(blob))
    if found is None:
        return Problem(ProblemKind.BLOB_MISSING, where, _place(blob))
    if found != blob.size_bytes:
        detail = f"{_place(blob)}: {counted(found, 'byte')}, not {blob.size_bytes:,}"
        return Problem(ProblemKind.BLOB_SIZE, where, detail)
    if blob.is_marked:
        return Problem(ProblemKind.BLOB_CONTENT, where, _place(blob))
    return None


def _place(blob: KnownBlob) -> str:
    return f"{blob.store}: {blob.storage_key}"


def _blobs() -> Iterator[list[KnownBlob]]:
    after_id = 0
    while batch := verification.list_blobs(after_id, BATCH):
        yield batch
        after_id = batch[-1].id


def _side_by_side(work: Callable[[Item], Outcome], items: Sequence[Item]) -> list[Outcome]:
    """Do the work for all items in a few threads and return the outcomes in their order."""

    def do(item: Item) -> Outcome:
        try:
            return work(item)
        finally:
            connection.close()

    if not items:
        return []
    with ThreadPoolExecutor(JOBS) as threads:
        return list(threads.map(do, items))
