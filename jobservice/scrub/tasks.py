"""Runs that compare content and manifests with their digests.

A run that stops or dies costs nothing: what was verified is recorded on the way, and the next
run begins with what has waited longest.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

from core.blobs import verification
from core.blobs.pace import Pace
from core.blobs.queries import total_bytes
from core.blobs.verification import Verdict, Verifier
from core.common.clock import now as clock_now
from core.common.text import counted
from core.integrity.queries import find_damaged_manifests, last_manifest_of_batch
from core.rbac.types import Actor
from jobservice.scrub import rules
from jobservice.worker.kinds import RunContext, run_kind

log = structlog.get_logger(__name__)

BATCH = 100
REPORT_SECONDS = 2.0
_MEGABYTE = 1_000_000
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class _Reading:
    """Counts what a run has read, and reports it every other second."""

    def __init__(self, context: RunContext, share: int) -> None:
        self._context = context
        self._share = share
        self._reported_at = time.monotonic()
        self.bytes = 0

    def add(self, read_bytes: int) -> None:
        """Count a piece. Raises ``RunStopped`` or ``RunLost``."""
        self.bytes += read_bytes
        if time.monotonic() - self._reported_at >= REPORT_SECONDS:
            self._context.report(self.bytes, self._share, f"{counted(self.bytes, 'byte')} compared")
            self._reported_at = time.monotonic()


@run_kind("scrub.content")
def scrub_content(context: RunContext) -> dict[str, Any]:
    """Compare a share of all content with its digests, what was verified longest ago first."""
    storage = settings.ROADSTEAD.storage
    if storage.scrub_days == 0:
        return {"switched_off": True}
    period = timedelta(days=storage.scrub_days)
    share = rules.share_bytes(total_bytes(), period)
    reading = _Reading(context, share)
    verifier = Verifier(
        actor=Actor.system(),
        pace=Pace(storage.scrub_megabytes_per_second * _MEGABYTE),
        on_read=reading.add,
    )
    verifier.verify_marked()
    is_behind = _read_share(verifier, reading, share, period)
    return {
        "bytes": reading.bytes,
        "is_behind": is_behind,
        **{verdict.name.lower(): verifier.counts[verdict] for verdict in Verdict},
    }


def _read_share(verifier: Verifier, reading: _Reading, share: int, period: timedelta) -> bool:
    """Verify blobs until the share is read; return whether some have waited too long."""
    started_at = clock_now()
    position = (_BEGINNING, 0)
    while batch := verification.oldest_verified(
        position, rules.ripe_before(started_at, period), BATCH
    ):
        try:
            for blob, verified_at in batch:
                if reading.bytes >= share:
                    return _is_behind(verified_at, started_at - period)
                verifier.verify(blob)
                position = (verified_at, blob.id)
        finally:
            verifier.flush()
    return False


def _is_behind(oldest: datetime, limit: datetime) -> bool:
    if oldest >= limit:
        return False
    log.warning("scrub_behind", oldest_verified_at=oldest.isoformat())
    return True


@run_kind("scrub.manifests")
def scrub_manifests(context: RunContext) -> dict[str, Any]:
    """Compare every manifest's document with its digest; the database does the reading."""
    compared = damaged = after_id = 0
    while batch := last_manifest_of_batch(after_id):
        last_id, size = batch
        for manifest in find_damaged_manifests(after_id, last_id):
            log.error(
                "manifest_damaged", repository=manifest.repository, digest=str(manifest.digest)
            )
            damaged += 1
        after_id, compared = last_id, compared + size
        context.report(compared, message=f"{counted(compared, 'manifest')} compared")
    return {"manifests": compared, "damaged": damaged}
