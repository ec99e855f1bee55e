"""Rows against rows, and manifests against their digests."""

from core.artifacts.models import Manifest
from core.database import raw
from core.integrity import queries
from core.integrity.types import ProblemKind, Report, Watcher


def check_rows(report: Report, watcher: Watcher) -> None:
    """Add to the report what contradicts itself in the database.

    Each statement sees the database at one instant, so nothing needs a second look. Some go
    over whole tables: the connection lets them take as long as they take from here on.
    """
    raw.execute("SET statement_timeout = 0")
    watcher.begin("Manifests", Manifest.objects.count())
    after_id = report.counts["manifests"] = 0
    while batch := queries.last_manifest_of_batch(after_id):
        last_id, size = batch
        for manifest in queries.find_damaged_manifests(after_id, last_id):
            report.add(ProblemKind.MANIFEST_PAYLOAD, f"{manifest.repository}@{manifest.digest}")
        for broken in queries.find_broken_references(after_id, last_id):
            where = f"{broken.manifest.repository}@{broken.manifest.digest}"
            detail = f"{broken.digest}: {broken.reason}"
            report.add(ProblemKind.MANIFEST_REFERENCE, where, detail)
        after_id = last_id
        report.counts["manifests"] += size
        watcher.advance(size)
    for repository, tag in queries.find_broken_tags():
        report.add(ProblemKind.TAG, f"{repository}:{tag}")
    for repository, blob_id in queries.find_broken_links():
        report.add(ProblemKind.LINK, repository, f"blob {blob_id}")
    for digest, storage_key in queries.find_condemned_blobs():
        report.add(ProblemKind.CONDEMNED_BLOB, str(digest), storage_key)
