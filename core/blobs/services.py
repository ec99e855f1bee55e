"""Starting, finding and opening uploads, and sweeping up what is left of them.

How an upload ends as a blob is the business of the feature that needs the blob.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from core.blobs import claims, sweeping
from core.blobs.errors import (
    AlgorithmUnsupported,
    ProjectUnknown,
    RangeMismatch,
    TooManyStrays,
    UploadTaken,
    UploadUnknown,
)
from core.blobs.rules import is_suspicious
from core.blobs.sessions import UploadSession
from core.blobs.types import UploadClaim, UploadFacts
from core.common import clock, failpoints
from core.common.errors import DomainError
from core.database import raw
from core.oci.digest import Digest
from core.storage.errors import StorageMisconfigured
from core.storage.hashing import ALGORITHMS
from core.storage.keys import key_for_upload
from core.storage.selection import current_store, default_driver, driver_of, drivers
from core.storage.types import StorageDriver

log = structlog.get_logger(__name__)

STRAY_AGE = timedelta(hours=48)
"""How long an object without a row is left alone."""

# Chosen once: as part of a join it could be carried out again for each row, and take more.
_CLAIM_CONDEMNED = """
WITH due AS MATERIALIZED (
     SELECT id FROM blobs_condemnedobject
      WHERE kept_until <= statement_timestamp() AND store = ANY(%s::text[])
        AND (removing_at IS NULL OR removing_at < clock_timestamp() - interval '1 hour')
      ORDER BY kept_until LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE blobs_condemnedobject SET removing_at = clock_timestamp()
 WHERE id IN (SELECT id FROM due)
RETURNING id, store, storage_key
"""

_FACTS = """
SELECT id, repository_name, project_id, owner, algorithm, size_bytes, committed_digest,
       created_at, expires_at
  FROM blobs_upload
 WHERE id = %s AND repository_name = %s AND owner = %s AND expires_at > clock_timestamp()
"""


def start_upload(
    *,
    project_id: int,
    repository_name: str,
    actor_subject: str,
    algorithm: str = "sha256",
    now: datetime | None = None,
) -> UploadFacts:
    """Begin an upload; the row that names its storage key exists before its first byte.

    ``algorithm`` is the digest to compute while bytes arrive; the closing digest may be of
    another. Raises AlgorithmUnsupported, and ProjectUnknown when the project is gone.
    """
    if algorithm not in ALGORITHMS:
        raise AlgorithmUnsupported(detail={"supported": list(ALGORITHMS)})
    upload_id = uuid4()
    created_at = now or clock.now()
    facts = UploadFacts(
        id=upload_id,
        repository_name=repository_name,
        project_id=project_id,
        owner=actor_subject,
        algorithm=algorithm,
        size_bytes=0,
        committed_digest=None,
        created_at=created_at,
        expires_at=created_at + claims.lifetime(),
    )
    key = key_for_upload(upload_id)
    if not claims.create(facts, key, default_driver().start(key), store=current_store()):
        raise ProjectUnknown
    failpoints.reach("upload.started")
    return facts


def get_upload(upload_id: UUID, *, repository_name: str, owner: str) -> UploadFacts:
    """Return an open upload.

    Raises UploadUnknown when there is none for that repository and owner: one that belongs
    to another cannot be told from one that never was.
    """
    facts = find_upload(upload_id, repository_name=repository_name, owner=owner)
    if facts is None or facts.committed_digest is not None:
        raise UploadUnknown
    return facts


def find_upload(upload_id: UUID, *, repository_name: str, owner: str) -> UploadFacts | None:
    """Return an upload, open or committed within the last hour."""
    row = raw.fetch_one(_FACTS, (upload_id, repository_name, owner))
    if row is None:
        return None
    return UploadFacts(
        id=row[0],
        repository_name=row[1],
        project_id=row[2],
        owner=row[3],
        algorithm=row[4],
        size_bytes=row[5],
        committed_digest=None if row[6] is None else Digest.from_bytes(bytes(row[6])),
        created_at=row[7],
        expires_at=row[8],
    )


def open_session(
    upload_id: UUID, *, repository_name: str, owner: str, expected_offset: int | None
) -> UploadSession:
    """Become the upload's one writer.

    ``expected_offset`` is where the client wants to go on, None for wherever the upload
    stands. Raises UploadUnknown, RangeMismatch when the offset is another, and UploadTaken
    when another writer holds it, who may let go soon: the caller decides how long to ask.
    """
    claim = claims.claim_upload(
        upload_id,
        repository_name=repository_name,
        owner=owner,
        expected_offset=expected_offset,
    )
    if claim is not None:
        return _session(claim)
    facts = get_upload(upload_id, repository_name=repository_name, owner=owner)
    if expected_offset not in (None, facts.size_bytes):
        raise RangeMismatch(facts.size_bytes)
    raise UploadTaken


def _session(claim: UploadClaim) -> UploadSession:
    """Let the claim write. Raises UploadUnknown when its storage is not configured any more."""
    try:
        driver = driver_of(claim.store)
    except StorageMisconfigured as error:
        claims.release(claim)
        raise UploadUnknown from error
    return UploadSession(claim, driver)


def cancel_upload(upload_id: UUID, *, repository_name: str, owner: str) -> None:
    """End an upload at its owner's wish. Raises UploadUnknown.

    Its bytes go at once when nobody is writing them, else with the sweep after the writer
    has noticed.
    """
    claim = claims.claim_upload(
        upload_id, repository_name=repository_name, owner=owner, expected_offset=None
    )
    if claim is not None:
        _session(claim).discard()
    elif not claims.cancel(upload_id, repository_name=repository_name, owner=owner):
        raise UploadUnknown


def forget_writers() -> int:
    """Let every upload be continued at once; return how many had a writer.

    For the start of a server that is alone with its database: whoever was writing is dead,
    and nobody should wait until that shows. One that lives on regardless is fenced off.
    """
    return claims.forget_all()


def sweep_uploads(now: datetime, limit: int = 1_000) -> int:
    """Remove up to ``limit`` uploads that expired before ``now``; return how many.

    Uploads into projects that were deleted have expired, too. Bytes go first, then the row.
    Tombstones of committed uploads go the same way; their object goes as well unless a blob
    stands on it. An upload whose bytes the storage refuses to remove keeps its row for the
    next sweep.
    """
    claims.expire_without_project()
    removed = 0
    failed: list[UUID] = []
    while removed + len(failed) < limit:
        claim = claims.claim_expired(now, except_ids=failed)
        if claim is None:
            break
        try:
            sweeping.remove_bytes(claim, driver_of(claim.store))
        except DomainError:
            log.warning("upload_bytes_left", upload_id=str(claim.id), exc_info=True)
            claims.release(claim)
            failed.append(claim.id)
            continue
        removed += claims.remove(claim)
    return removed


def sweep_condemned(limit: int = 1_000) -> int:
    """Remove up to ``limit`` condemned objects whose time has come; return how many.

    The object goes first, then the row. One that its storage refuses to remove is tried again
    after an hour. In a storage that is not configured any more, nothing is removed.
    """
    removed = 0
    claimed = raw.fetch_changed(_CLAIM_CONDEMNED, (list(drivers()), limit))
    for row_id, store, storage_key in claimed:
        try:
            sweeping.remove_condemned(storage_key, driver_of(store))
        except DomainError:
            log.warning("condemned_object_left", store=store, key=storage_key, exc_info=True)
            continue
        removed += raw.execute("DELETE FROM blobs_condemnedobject WHERE id = %s", (row_id,))
    return removed


def sweep_strays(now: datetime, older_than: timedelta = STRAY_AGE) -> int:
    """Remove unfinished and finished objects that no row names; return how many.

    Only objects unchanged for ``older_than`` count, and each is asked for again right before
    it goes. Raises TooManyStrays, having removed nothing from that storage, when it looks as
    if the database were older than the storage.
    """
    return sum(_sweep_strays(driver, now - older_than) for driver in drivers().values())


def _sweep_strays(driver: StorageDriver, ripe_before: datetime) -> int:
    finished, objects = sweeping.find_strays(driver.list_blobs(), ripe_before)
    unfinished, uploads = sweeping.find_strays(driver.list_uploads(), ripe_before)
    strays = len(finished) + len(unfinished)
    if is_suspicious(unmatched=strays, objects=objects + uploads):
        raise TooManyStrays(detail={"strays": strays, "objects": objects + uploads})
    for key in sweeping.without_row(finished):
        driver.delete(key)
    for key in sweeping.without_row(unfinished):
        # The state went with the row; a fresh one is all a driver can be given.
        driver.abort(key, driver.start(key))
    if strays:
        log.info("strays_removed", finished=len(finished), unfinished=len(unfinished))
    return strays
