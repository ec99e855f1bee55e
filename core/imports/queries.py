"""What the target has already."""

from collections.abc import Collection

from core.artifacts.models import Manifest, Tag
from core.blobs.models import Upload
from core.blobs.storing import StoredAt
from core.database import raw
from core.imports.types import LiveTag, PresentBlob
from core.oci.digest import Digest
from core.projects.models import Project

_BLOBS_OF_MANIFESTS = """
SELECT DISTINCT b.digest, b.size_bytes, b.store, b.storage_key, b.damaged_at IS NOT NULL
  FROM artifacts_repository r
  JOIN artifacts_manifest m ON m.repository_id = r.id
  JOIN artifacts_manifestreference f ON f.parent_id = m.id
  JOIN blobs_blob b ON b.id = f.blob_id
 WHERE r.name = %s AND m.digest = ANY(%s::bytea[])
 ORDER BY b.digest
"""


def project_ids() -> dict[str, int]:
    """Return the id of every project by its name."""
    return dict(Project.objects.values_list("name", "pk"))


def manifests_of(repository_name: str) -> set[Digest]:
    """Return the digests of all manifests of a repository, none when it does not exist."""
    rows = Manifest.objects.filter(repository__name=repository_name)
    return {Digest.from_bytes(bytes(found)) for found in rows.values_list("digest", flat=True)}


def blobs_of(repository_name: str, manifests: Collection[Digest]) -> list[PresentBlob]:
    """Return the blobs that these manifests of a repository stand on, each once."""
    digests = [digest.to_bytes() for digest in manifests]
    return [
        PresentBlob(Digest.from_bytes(bytes(digest)), size, StoredAt(store, key), is_marked)
        for digest, size, store, key, is_marked in raw.fetch_all(
            _BLOBS_OF_MANIFESTS, (repository_name, digests)
        )
    ]


def live_tags_of(repository_name: str) -> dict[str, LiveTag]:
    """Return the live tags of a repository by name, none when it does not exist."""
    rows = Tag.objects.filter(repository__name=repository_name, ended_at=None)
    return {
        name: LiveTag(Digest.from_bytes(bytes(digest)), started_by)
        for name, digest, started_by in rows.values_list("name", "digest", "started_by")
    }


def open_uploads_of(owner: str) -> list[Upload]:
    """Return the uploads that an owner has not finished."""
    return list(Upload.objects.filter(owner=owner, committed_digest=None))
