"""Turning an upload into a blob, so that a repetition does no harm."""

import time
from contextlib import suppress

from core.common import failpoints
from core.storage.errors import StorageFailed, UploadMissing, translated
from core.storage.part_buffer import BufferMemory
from core.storage.s3.bucket import Bucket
from core.storage.s3.failures import pause_seconds
from core.storage.s3.state import WHOLE, Part, S3State
from core.storage.s3.writer import collect_tails


def commit(bucket: Bucket, key: str, state: S3State, memory: BufferMemory) -> None:
    """Make the bytes of ``state`` the object ``key``.

    Raises UploadMissing when they are not there and no earlier commit of them got through.
    """
    name = bucket.blob_name(key)
    try:
        _make_object(bucket, key, name, state, memory)
    except (UploadMissing, StorageFailed):
        if not _is_done(bucket, name, state):
            raise
    with translated("store the blob"):
        failpoints.reach("storage.commit.done")
    for tail in (*(tail.name for tail in state.tails), *state.spent):
        if tail != WHOLE:
            # The blob is stored. A tail that stays is found by ``abort`` or by the sweep.
            with suppress(StorageFailed):
                bucket.delete(bucket.tail_name(key, tail))


def _make_object(bucket: Bucket, key: str, name: str, state: S3State, memory: BufferMemory) -> None:
    """Carry out a commit. UploadMissing may mean that it has been carried out before."""
    if state.is_whole:
        raise UploadMissing
    with translated("store the blob"):
        failpoints.reach("storage.commit.synced")
    has_multipart = bool(state.multipart_id) or state.must_replace
    if not has_multipart and not bucket.options.has_conditional_writes:
        # What is there may be an earlier commit of these bytes, and must not be replaced.
        if bucket.head(name) is not None:
            raise UploadMissing
        has_multipart = True
    multipart_id, parts = state.multipart_id, list(state.parts)
    if state.tails or not parts:
        rest = collect_tails(bucket, key, list(state.tails), memory)
        try:
            if not has_multipart:
                if not bucket.put_new(name, rest.body(), state.final_mark):
                    raise UploadMissing
                return
            if not multipart_id:
                multipart_id = bucket.create_multipart(name, state.final_mark)
            size = rest.size
            etag = bucket.upload_part(name, multipart_id, len(parts) + 1, rest.body())
            parts.append(Part(size, etag))
        finally:
            rest.close()
    _complete(bucket, name, state, multipart_id, parts)


def _complete(
    bucket: Bucket, name: str, state: S3State, multipart_id: str, parts: list[Part]
) -> None:
    """Complete the multipart upload, looking for a hidden success after each failure.

    The service may answer 200 with an error in the body, or succeed after the time is up.
    """
    for attempt in range(bucket.options.attempts):
        try:
            bucket.complete(name, multipart_id, parts, may_replace=state.must_replace)
        except StorageFailed:
            if _is_done(bucket, name, state):
                return
            if attempt == bucket.options.attempts - 1:
                raise
            time.sleep(pause_seconds(attempt))
        else:
            return


def _is_done(bucket: Bucket, name: str, state: S3State) -> bool:
    """Say whether the object is there, made from this state and of the right size."""
    facts = bucket.head(name)
    return facts is not None and (facts.mark, facts.size) == (state.final_mark, state.size)
