"""What a page of rows needs beside the rows: one statement for each kind of thing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count

from core.artifacts.api.filters import listed
from core.artifacts.models import Manifest, ManifestLabel, ManifestReference, Repository, Tag
from core.labels.models import Label
from core.oci.digest import Digest
from core.oci.media_types import INDEX_TYPES
from core.tag_rules.queries import find_immutability
from core.tag_rules.rules import Immutability


def digest_text(stored: Any) -> str:
    """Return a stored digest as text."""
    return str(Digest.from_bytes(bytes(stored)))


def repository_context(repositories: Sequence[Repository]) -> Mapping[str, Any]:
    """Return how many artifacts each repository shows."""
    manifests = Manifest.objects.filter(repository__in=[row.pk for row in repositories])
    counts = listed(manifests).order_by().values_list("repository_id").annotate(Count("pk"))
    return {"artifacts": dict(counts)}


def artifact_context(
    repository: Repository,
    manifests: Sequence[Manifest],
    *,
    with_tags: bool = True,
    with_accessories: bool = False,
    with_labels: bool = False,
) -> Mapping[str, Any]:
    """Return tags, children, accessories and labels of the manifests, by manifest id.

    With tags comes the immutability of those in the repository.
    """
    return {
        "repository": repository,
        "tags": _tags(manifests) if with_tags else {},
        "immutability": immutability_of(repository) if with_tags else Immutability(),
        "references": _references(manifests),
        "accessories": _accessories(repository, manifests) if with_accessories else {},
        "labels": _labels(manifests) if with_labels else {},
    }


def immutability_of(repository: Repository) -> Immutability:
    """Return which tags of the repository are immutable."""
    return find_immutability(repository.project_id, repository.name)


def _tags(manifests: Sequence[Manifest]) -> Mapping[int, list[Tag]]:
    tags: dict[int, list[Tag]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests]
    for tag in Tag.objects.filter(manifest__in=ids, ended_at=None).order_by("-started_at", "id"):
        tags[tag.manifest_id or 0].append(tag)
    return tags


def _references(manifests: Sequence[Manifest]) -> Mapping[int, list[ManifestReference]]:
    references: dict[int, list[ManifestReference]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests if manifest.media_type in INDEX_TYPES]
    rows = ManifestReference.objects.filter(parent__in=ids, child__isnull=False)
    for reference in rows.order_by("parent_id", "position"):
        references[reference.parent_id].append(reference)
    return references


def _labels(manifests: Sequence[Manifest]) -> Mapping[int, list[Label]]:
    labels: dict[int, list[Label]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests]
    rows = ManifestLabel.objects.filter(manifest__in=ids).select_related("label")
    for row in rows.order_by("label__name", "label_id"):
        labels[row.manifest_id].append(row.label)
    return labels


def _accessories(
    repository: Repository, manifests: Sequence[Manifest]
) -> Mapping[int, list[Manifest]]:
    ids = {bytes(manifest.digest): manifest.pk for manifest in manifests}
    accessories: dict[int, list[Manifest]] = defaultdict(list)
    rows = Manifest.objects.filter(repository=repository, subject__in=list(ids))
    for accessory in rows.defer("payload").order_by("id"):
        accessories[ids[bytes(accessory.subject or b"")]].append(accessory)
    return accessories
