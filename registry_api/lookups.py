"""The reads of a pull, shared by the requests that ask at the same time."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from core.artifacts import lookups
from core.artifacts.lookups import BlobQuestion, ManifestQuestion
from core.artifacts.types import BlobLookup, ManifestLookup, StoredBlob, Viewer
from core.oci.digest import Digest
from core.storage.errors import BlobMissing, StorageFailed, StorageMisconfigured
from core.storage.selection import driver_of
from registry_api.batches import Batches
from registry_api.threads import Work, executor, with_fresh_connection

SMALL_BLOB_BYTES: Final = 64 << 10
"""A blob up to this size is read along with its row, in the same thread."""


class FoundBlob(NamedTuple):
    """A blob's row and, when it is small and sound, its bytes."""

    lookup: BlobLookup
    content: bytes | None


async def find_manifest(
    name: str, reference: Digest | str, viewer: Viewer, *, with_payload: bool
) -> ManifestLookup:
    """Return the manifest that a digest or tag names in a repository."""
    question = ManifestQuestion(
        viewer.subject,
        viewer.issued_at,
        name,
        reference if isinstance(reference, str) else None,
        reference.to_bytes() if isinstance(reference, Digest) else None,
        with_payload,
    )
    return await _MANIFESTS.ask(question)


async def find_blob(name: str, digest: Digest, viewer: Viewer) -> FoundBlob:
    """Return a blob that the repository may serve."""
    question = BlobQuestion(viewer.subject, viewer.issued_at, name, digest.to_bytes())
    return await _BLOBS.ask(question)


def _find_manifests(
    questions: Sequence[ManifestQuestion],
) -> Mapping[ManifestQuestion, ManifestLookup]:
    return with_fresh_connection(lookups.find_manifests, questions)


def _find_blobs(questions: Sequence[BlobQuestion]) -> Mapping[BlobQuestion, FoundBlob]:
    found = with_fresh_connection(lookups.find_blobs, questions)
    contents: dict[str, bytes | None] = {}
    for lookup in found.values():
        blob = lookup.blob
        if blob is not None and blob.size_bytes <= SMALL_BLOB_BYTES:
            key = blob.storage_key
            if key not in contents:
                contents[key] = _read_small(blob)
    return {
        question: FoundBlob(lookup, contents.get(lookup.blob.storage_key) if lookup.blob else None)
        for question, lookup in found.items()
    }


def _read_small(blob: StoredBlob) -> bytes | None:
    """Return the bytes of a small local blob; None leaves the answer to the careful path."""
    try:
        driver = driver_of(blob.store)
        if blob.is_damaged or not driver.reads_are_quick:
            return None
        reader = driver.open_blob(blob.storage_key)
        try:
            content = reader.read(0, blob.size_bytes) if reader.size == blob.size_bytes else b""
        finally:
            reader.close()
    except (BlobMissing, StorageFailed, StorageMisconfigured):
        return None
    return content if len(content) == blob.size_bytes else None


_MANIFESTS: Final = Batches(lambda: executor(Work.PULL), _find_manifests)
_BLOBS: Final = Batches(lambda: executor(Work.PULL), _find_blobs)
