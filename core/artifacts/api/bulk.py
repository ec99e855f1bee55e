"""What a page of rows needs beside the rows: one statement for each kind of thing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count

from core.artifacts.api.filters import listed
from core.artifacts.attributes import read_attributes
from core.artifacts.models import Manifest, ManifestLabel, ManifestReference, Repository, Tag
from core.labels.models import Label
from core.oci.digest import Digest
from core.oci.media_types import INDEX_TYPES
from core.tag_rules.queries import find_immutabilities, find_immutability
from core.tag_rules.rules import Immutability


def digest_text(stored: Any) -> str:
    """Return a stored digest as text."""
    return str(Digest.from_bytes(bytes(stored)))


def repository_context(repositories: Sequence[Repository]) -> Mapping[str, Any]:
    """Return how many artifacts each repository shows."""
    ids = [row.pk for row in repositories]
    tags = Tag.objects.filter(repository__in=ids, ended_at=None)
    manifests = listed(Manifest.objects.filter(repository__in=ids), tags)
    counts = manifests.order_by().values_list("repository_id").annotate(Count("pk"))
    return {"artifacts": dict(counts)}


def artifact_context(
    project_id: int,
    manifests: Sequence[Manifest],
    *,
    with_tags: bool = True,
    with_accessories: bool = False,
    with_inherited_accessories: bool = False,
    with_labels: bool = False,
) -> Mapping[str, Any]:
    """Return tags, children, accessories and labels of the manifests of a project, by manifest id.

    With tags comes the immutability of those in each repository, by its name. What their
    configurations say is read, too, where it has not been yet.
    """
    read_attributes(manifests)
    return {
        "tags": _tags(manifests) if with_tags else {},
        "immutability": _immutabilities(project_id, manifests) if with_tags else {},
        "references": _references(manifests),
        "accessories": _accessories(manifests) if with_accessories else {},
        "inherited": _inherited(manifests) if with_inherited_accessories else {},
        "labels": _labels(manifests) if with_labels else {},
    }


def immutability_of(repository: Repository) -> Immutability:
    """Return which tags of the repository are immutable."""
    return find_immutability(repository.project_id, repository.name)


def _immutabilities(project_id: int, manifests: Sequence[Manifest]) -> Mapping[str, Immutability]:
    return find_immutabilities(project_id, {manifest.repository.name for manifest in manifests})


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


def _accessories(manifests: Sequence[Manifest]) -> Mapping[int, list[Manifest]]:
    """Return the manifests about each, by id; both are in the same repository."""
    ids = {(manifest.repository_id, bytes(manifest.digest)): manifest.pk for manifest in manifests}
    accessories: dict[int, list[Manifest]] = defaultdict(list)
    rows = Manifest.objects.filter(
        repository__in=list({repository for repository, _ in ids}),
        subject__in=list({digest for _, digest in ids}),
    )
    for accessory in rows.defer("payload", "extra_attrs").order_by("id"):
        about = ids.get((accessory.repository_id, bytes(accessory.subject or b"")))
        if about is not None:
            accessories[about].append(accessory)
    return accessories


def _inherited(manifests: Sequence[Manifest]) -> Mapping[int, list[tuple[Manifest, Manifest]]]:
    """Return what is attached to the indexes that list each manifest, with the index."""
    ids = [manifest.pk for manifest in manifests]
    rows = ManifestReference.objects.filter(child__in=ids).select_related("parent__repository")
    rows = rows.defer("parent__payload", "parent__extra_attrs").order_by("parent_id", "position")
    references = list(rows)
    parents = {reference.parent_id: reference.parent for reference in references}
    attached = _accessories(list(parents.values()))
    inherited: dict[int, dict[int, tuple[Manifest, Manifest]]] = defaultdict(dict)
    for reference in references:
        for accessory in attached.get(reference.parent_id, ()):
            found = (reference.parent, accessory)
            inherited[reference.child_id or 0][accessory.pk] = found
    return {child: list(found.values()) for child, found in inherited.items()}
