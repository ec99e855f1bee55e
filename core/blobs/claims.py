"""Taking, fencing and letting go of upload rows. One statement each, on the database's clock.

A claim is a random token and an epoch that grows with every claim. Whoever changes the row
names both; when another has claimed the row meanwhile, nothing matches and nothing changes.
So a writer that was given up for dead may still wake, but it can no longer do harm.
"""

import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings

from core.blobs.errors import UploadTaken, UploadUnknown
from core.blobs.types import Checkpoint, UploadClaim
from core.common.errors import DomainError
from core.database import raw
from core.oci.digest import Digest

LOCK_DURATION = timedelta(seconds=20)
"""How long a writer that shows no sign of life keeps others out."""

TOMBSTONE_DURATION = timedelta(hours=1)
"""How long a committed upload answers a repeated closing request."""

_CLAIM = """
UPDATE blobs_upload
   SET lock_token = %s, locked_until = clock_timestamp() + %s, epoch = epoch + 1,
       expires_at = clock_timestamp() + %s
 WHERE id = %s AND repository_name = %s AND owner = %s
   AND committed_digest IS NULL AND expires_at > clock_timestamp()
   AND size_bytes = coalesce(%s, size_bytes)
   AND (lock_token IS NULL OR locked_until < clock_timestamp() OR lock_token = %s)
RETURNING id, project_id, repository_name, owner, algorithm, store, storage_key, epoch,
          lock_token, size_bytes, storage_state, hash_state, digest_at_size
"""

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

_SAVE = """
UPDATE blobs_upload
   SET size_bytes = %s, storage_state = %s::jsonb, hash_state = %s, digest_at_size = %s,
       updated_at = clock_timestamp(), locked_until = clock_timestamp() + %s,
       expires_at = clock_timestamp() + %s
 WHERE id = %s AND epoch = %s AND lock_token = %s AND expires_at > clock_timestamp()
"""

_RENEW = """
UPDATE blobs_upload
   SET locked_until = clock_timestamp() + %s, expires_at = clock_timestamp() + %s
 WHERE id = %s AND epoch = %s AND lock_token = %s AND expires_at > clock_timestamp()
"""

_RELEASE = """
UPDATE blobs_upload SET lock_token = NULL, locked_until = NULL
 WHERE id = %s AND epoch = %s AND lock_token = %s
"""

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

_COMMIT = """
UPDATE blobs_upload
   SET committed_digest = %s, lock_token = NULL, locked_until = NULL, hash_state = NULL,
       updated_at = clock_timestamp(), expires_at = clock_timestamp() + %s
 WHERE id = %s AND epoch = %s AND lock_token = %s AND expires_at > clock_timestamp()
"""

_FORGET_ALL = """
UPDATE blobs_upload SET lock_token = NULL, locked_until = NULL, epoch = epoch + 1
 WHERE lock_token IS NOT NULL
"""

_REMOVE = "DELETE FROM blobs_upload WHERE id = %s AND epoch = %s AND lock_token = %s"


def lifetime() -> timedelta:
    """Return how long an upload waits for its next byte."""
    return timedelta(seconds=settings.ROADSTEAD.limits.upload_lifetime_seconds)


def claim_upload(
    upload_id: UUID, *, repository_name: str, owner: str, expected_offset: int | None
) -> UploadClaim | None:
    """Claim an open upload that is free and, if an offset is given, stands exactly there."""
    token = uuid4()
    who = (upload_id, repository_name, owner, expected_offset)
    row = raw.fetch_one(_CLAIM, (token, LOCK_DURATION, lifetime(), *who, token))
    return _claim(row) if row else None


def claim_expired(expired_before: datetime, *, except_ids: list[UUID]) -> UploadClaim | None:
    """Claim one upload that expired before that time and that nobody is writing."""
    row = raw.fetch_one(_CLAIM_EXPIRED, (uuid4(), LOCK_DURATION, expired_before, except_ids))
    return _claim(row) if row else None


def save_checkpoint(claim: UploadClaim, checkpoint: Checkpoint) -> None:
    """Record a durable position and renew claim and expiry. Raises what ``lost`` returns."""
    changed = raw.execute(
        _SAVE,
        (
            checkpoint.size_bytes,
            json.dumps(checkpoint.storage_state),
            checkpoint.hash_state,
            checkpoint.digest_at_size,
            LOCK_DURATION,
            lifetime(),
            *_fence(claim),
        ),
    )
    if not changed:
        raise lost(claim)


def renew(claim: UploadClaim) -> None:
    """Show a sign of life. Raises what ``lost`` returns."""
    if not raw.execute(_RENEW, (LOCK_DURATION, lifetime(), *_fence(claim))):
        raise lost(claim)


def release(claim: UploadClaim) -> None:
    """Let others claim the upload, unless they have done so already."""
    raw.execute(_RELEASE, _fence(claim))


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
    parameters = (digest.to_bytes(), TOMBSTONE_DURATION, *_fence(claim))
    if not raw.execute(_COMMIT, parameters):
        raise lost(claim)


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
