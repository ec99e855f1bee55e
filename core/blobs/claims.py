"""Making, taking, fencing and letting go of upload rows, on the database's clock.

A claim is a random token and an epoch that grows with every claim. Whoever changes the row
names both; when another has claimed the row meanwhile, nothing matches and nothing changes.
So a writer that was given up for dead may still wake, but it can no longer do harm.

Most of these changes do not wait for the disk: a power cut may take the newest of them and so
cost an upload its claim, its last small chunks or its being known at all, which the client then
sends again. It never costs content: an upload becomes a blob in a transaction that does wait.
"""

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings

from core.blobs.errors import UploadTaken, UploadUnknown
from core.blobs.types import Checkpoint, UploadClaim, UploadFacts
from core.common.errors import DomainError
from core.database import raw
from core.database.statements import Statement
from core.oci.digest import Digest
from core.storage.types import UploadState

LOCK_DURATION = timedelta(seconds=20)
"""How long a writer that shows no sign of life keeps others out."""

TOMBSTONE_DURATION = timedelta(hours=1)
"""How long a committed upload answers a repeated closing request."""

EXPIRY_STEP = 1 / 1_000
"""The time of expiry moves in steps of this part of the lifetime.

Most changes of the row then leave every indexed column as it is, which costs PostgreSQL half.
"""

# A deletion of the project that is under way is waited for.
_CREATE = Statement(
    "upload_create",
    """
INSERT INTO blobs_upload
       (id, project_id, repository_name, owner, algorithm, store, storage_key, storage_state,
        size_bytes, epoch, created_at, updated_at, expires_at)
SELECT $1::uuid, p.id, $2, $3, $4, $5, $6, $7::jsonb,
       0, 0, $8::timestamptz, $8::timestamptz, $9::timestamptz
  FROM projects_project p WHERE p.id = $10 FOR KEY SHARE
""",
)

_CLAIM = Statement(
    "upload_claim",
    """
UPDATE blobs_upload
   SET lock_token = $1::uuid, locked_until = clock_timestamp() + $2::interval, epoch = epoch + 1,
       expires_at = greatest(expires_at, clock_timestamp() + $2::interval)
 WHERE id = $3::uuid AND repository_name = $4 AND owner = $5
   AND committed_digest IS NULL AND expires_at > clock_timestamp()
   AND size_bytes = coalesce($6::bigint, size_bytes)
   AND (lock_token IS NULL OR locked_until < clock_timestamp() OR lock_token = $1::uuid)
RETURNING id, project_id, repository_name, owner, algorithm, store, storage_key, epoch,
          lock_token, size_bytes, storage_state, hash_state, digest_at_size
""",
)

_CLAIM_EXPIRED = """
UPDATE blobs_upload
   SET lock_token = %s, locked_until = clock_timestamp() + %s, epoch = epoch + 1
 WHERE id = (
       SELECT id FROM blobs_upload
        WHERE expires_at <= %s AND NOT (id = ANY(%s::uuid[]))
          AND (lock_token IS NULL OR locked_until < clock_timestamp())
        ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, project_id, repository_name, owner, algorithm, store, storage_key, epoch,
          lock_token, size_bytes, storage_state, hash_state, digest_at_size
"""

# With $8 the writer lets go as well.
_SAVE = Statement(
    "upload_save",
    """
UPDATE blobs_upload
   SET size_bytes = $1, storage_state = $2::jsonb, hash_state = $3, digest_at_size = $4,
       updated_at = clock_timestamp(),
       lock_token = CASE WHEN $8::bool THEN NULL ELSE lock_token END,
       locked_until = CASE WHEN $8::bool THEN NULL ELSE clock_timestamp() + $5::interval END,
       expires_at = CASE WHEN expires_at < clock_timestamp() + $6::interval
                         THEN clock_timestamp() + $7::interval ELSE expires_at END
 WHERE id = $9::uuid AND epoch = $10 AND lock_token = $11::uuid AND expires_at > clock_timestamp()
""",
)

_RENEW = """
UPDATE blobs_upload
   SET locked_until = clock_timestamp() + %s, expires_at = clock_timestamp() + %s
 WHERE id = %s AND epoch = %s AND lock_token = %s AND expires_at > clock_timestamp()
"""

_RELEASE = Statement(
    "upload_release",
    """
UPDATE blobs_upload SET lock_token = NULL, locked_until = NULL
 WHERE id = $1::uuid AND epoch = $2 AND lock_token = $3::uuid
""",
)

_EXPIRE = """
UPDATE blobs_upload SET expires_at = clock_timestamp()
 WHERE id = %s AND epoch = %s AND lock_token = %s
"""

# A writer at work is not waited for: its epoch is over, and the sweeper removes what it
# leaves once its lock has lapsed.
_CANCEL = """
UPDATE blobs_upload SET expires_at = clock_timestamp(), epoch = epoch + 1
 WHERE id = %s AND repository_name = %s AND owner = %s
   AND committed_digest IS NULL AND expires_at > clock_timestamp()
"""

# A deleted project takes its repositories along, so nobody can finish these.
_EXPIRE_WITHOUT_PROJECT = """
UPDATE blobs_upload SET expires_at = clock_timestamp(), epoch = epoch + 1
 WHERE committed_digest IS NULL AND expires_at > clock_timestamp()
   AND NOT EXISTS (SELECT FROM projects_project p WHERE p.id = project_id)
"""

_MARK = """
UPDATE blobs_upload
   SET committed_digest = $1, lock_token = NULL, locked_until = NULL, hash_state = NULL,
       updated_at = clock_timestamp(), expires_at = clock_timestamp() + $2::interval
 WHERE id = $3::uuid AND epoch = $4 AND lock_token = $5::uuid AND expires_at > clock_timestamp()
"""
_COMMIT = Statement("upload_commit", _MARK)

_COMMIT_AS_NEW = Statement(
    "upload_commit_as_new",
    f"WITH marked AS ({_MARK} RETURNING store, storage_key),"  # noqa: S608  # a constant
    """
     stored AS (
     INSERT INTO blobs_blob (digest, size_bytes, store, storage_key, created_at)
     SELECT $1, $6::bigint, store, storage_key, $7::timestamptz FROM marked
     ON CONFLICT (digest) DO NOTHING RETURNING id)
SELECT EXISTS (SELECT FROM marked), (SELECT id FROM stored)
""",
)

_FORGET_ALL = """
UPDATE blobs_upload SET lock_token = NULL, locked_until = NULL, epoch = epoch + 1
 WHERE lock_token IS NOT NULL
"""

_REMOVE = "DELETE FROM blobs_upload WHERE id = %s AND epoch = %s AND lock_token = %s"


def lifetime() -> timedelta:
    """Return how long an upload waits for its next byte."""
    return timedelta(seconds=settings.ROADSTEAD.limits.upload_lifetime_seconds)


def create(facts: UploadFacts, storage_key: str, state: UploadState, *, store: str) -> bool:
    """Insert the row of an upload without bytes; False when its project is gone."""
    created = _CREATE.execute(
        facts.id,
        facts.repository_name,
        facts.owner,
        facts.algorithm,
        store,
        storage_key,
        json.dumps(state),
        facts.created_at,
        facts.expires_at,
        facts.project_id,
        relaxed=True,
    )
    return bool(created)


def claim_upload(
    upload_id: UUID, *, repository_name: str, owner: str, expected_offset: int | None
) -> UploadClaim | None:
    """Claim an open upload that is free and, if an offset is given, stands exactly there."""
    where = (upload_id, repository_name, owner, expected_offset)
    row = _CLAIM.fetch_one(uuid4(), LOCK_DURATION, *where, relaxed=True)
    return _claim(row) if row else None


def claim_expired(expired_before: datetime, *, except_ids: list[UUID]) -> UploadClaim | None:
    """Claim one upload that expired before that time and that nobody is writing."""
    parameters = (uuid4(), LOCK_DURATION, expired_before, except_ids)
    rows = raw.fetch_changed(_CLAIM_EXPIRED, parameters)
    return _claim(rows[0]) if rows else None


def save_checkpoint(
    claim: UploadClaim, checkpoint: Checkpoint, *, lets_go: bool = False, relaxed: bool = False
) -> None:
    """Record a durable position and renew claim and expiry. Raises what ``lost`` returns.

    ``lets_go`` ends the claim instead. A ``relaxed`` record may be lost with the database's
    machine; the upload then stands where the one before it says.
    """
    changed = _SAVE.execute(
        checkpoint.size_bytes,
        json.dumps(checkpoint.storage_state),
        checkpoint.hash_state,
        checkpoint.digest_at_size,
        LOCK_DURATION,
        lifetime() * (1 - EXPIRY_STEP),
        lifetime(),
        lets_go,
        *_fence(claim),
        relaxed=relaxed,
    )
    if not changed:
        raise lost(claim)


def renew(claim: UploadClaim) -> None:
    """Show a sign of life. Raises what ``lost`` returns."""
    if not raw.execute(_RENEW, (LOCK_DURATION, lifetime(), *_fence(claim))):
        raise lost(claim)


def release(claim: UploadClaim) -> None:
    """Let others claim the upload, unless they have done so already."""
    _RELEASE.execute(*_fence(claim), relaxed=True)


def forget_all() -> int:
    """End every claim, fence off whoever held it, and return how many there were."""
    return raw.execute(_FORGET_ALL)


def expire(claim: UploadClaim) -> bool:
    """Hide the upload from its client but keep the claim; False when the claim was lost."""
    return bool(raw.execute(_EXPIRE, _fence(claim)))


def cancel(upload_id: UUID, *, repository_name: str, owner: str) -> bool:
    """Hide an open upload from everybody and fence off its writer; False if there is none."""
    return bool(raw.execute(_CANCEL, (upload_id, repository_name, owner)))


def expire_without_project() -> int:
    """Hide the open uploads of deleted projects, fence off writers, return how many."""
    return raw.execute(_EXPIRE_WITHOUT_PROJECT)


def mark_committed_locked(claim: UploadClaim, digest: Digest) -> None:
    """Leave a tombstone, in the caller's transaction. Raises what ``lost`` returns."""
    if not _COMMIT.execute(digest.to_bytes(), TOMBSTONE_DURATION, *_fence(claim)):
        raise lost(claim)


def commit_as_new_locked(
    claim: UploadClaim, digest: Digest, *, size_bytes: int, now: datetime
) -> int | None:
    """Do the same, and make the upload's object a blob, in one statement; return its id.

    None when there is a blob with that digest, which the transaction must not ignore. Raises
    what ``lost`` returns.
    """
    row = _COMMIT_AS_NEW.fetch_one(
        digest.to_bytes(), TOMBSTONE_DURATION, *_fence(claim), size_bytes, now
    )
    if row is None or not row[0]:
        raise lost(claim)
    return None if row[1] is None else int(row[1])


def remove(claim: UploadClaim) -> bool:
    """Delete the row; False when the claim was lost."""
    return bool(raw.execute(_REMOVE, _fence(claim)))


def lost(claim: UploadClaim) -> DomainError:
    """Return why the claim no longer counts: the upload is gone, or another took it over."""
    row = raw.fetch_one(
        "SELECT 1 FROM blobs_upload WHERE id = %s AND committed_digest IS NULL"
        " AND expires_at > clock_timestamp()",
        (claim.id,),
    )
    return UploadTaken() if row else UploadUnknown()


def _fence(claim: UploadClaim) -> tuple[UUID, int, UUID]:
    return claim.id, claim.epoch, claim.token


def _claim(row: raw.Row) -> UploadClaim:
    """Build the claim from the columns that the claiming statements return."""
    return UploadClaim(
        id=row[0],
        project_id=row[1],
        repository_name=row[2],
        owner=row[3],
        algorithm=row[4],
        store=row[5],
        storage_key=row[6],
        epoch=row[7],
        token=row[8],
        checkpoint=Checkpoint(
            size_bytes=row[9],
            storage_state=json.loads(row[10]),
            hash_state=None if row[11] is None else bytes(row[11]),
            digest_at_size=row[12],
        ),
    )
