"""What the target has already."""

from core.artifacts.models import Manifest, Tag
from core.blobs.models import Upload
from core.imports.types import LiveTag
from core.oci.digest import Digest
from core.projects.models import Project


def project_ids() -> dict[str, int]:
    """Return the id of every project by its name."""
    return dict(Project.objects.values_list("name", "pk"))


def manifests_of(repository_name: str) -> set[Digest]:
    """Return the digests of all manifests of a repository, none when it does not exist."""
    rows = Manifest.objects.filter(repository__name=repository_name)
    return {Digest.from_bytes(bytes(found)) for found in rows.values_list("digest", flat=True)}


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
