"""Counting what is there."""

from django.db.models import Count, Q, Sum

from core.artifacts.api.filters import visible_repositories
from core.blobs.models import Blob
from core.members.api.filters import visible_projects
from core.rbac.types import Actor


def count_projects(actor: Actor) -> tuple[int, int]:
    """Return how many public and how many private projects the actor sees."""
    counts = visible_projects(actor).aggregate(
        public=Count("pk", filter=Q(is_public=True)),
        private=Count("pk", filter=Q(is_public=False)),
    )
    return counts["public"], counts["private"]


def count_repositories(actor: Actor) -> tuple[int, int]:
    """Return how many repositories the actor sees in public and in private projects."""
    counts = visible_repositories(actor).aggregate(
        public=Count("pk", filter=Q(project__is_public=True)),
        private=Count("pk", filter=Q(project__is_public=False)),
    )
    return counts["public"], counts["private"]


def stored_bytes() -> int:
    """Return how many bytes the blobs have, each counted once however many repositories share it.

    That is what the storage holds, apart from unfinished uploads and what waits for removal.
    """
    return int(Blob.objects.aggregate(total=Sum("size_bytes"))["total"] or 0)
