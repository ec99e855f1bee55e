"""What a page of rows needs beside the rows: one statement for each kind of thing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet

from core.artifacts.api.filters import listed
from core.artifacts.attributes import read_attributes
from core.artifacts.models import Manifest, ManifestLabel, ManifestReference, Repository, Tag
from core.labels.models import Label
from core.oci.digest import Digest
from core.oci.media_types import INDEX_TYPES
from core.oci.referrers import companion_tags
from core.tag_rules.queries import find_immutabilities, find_immutability
from core.tag_rules.rules import Immutability


class Accessory(NamedTuple):
    """A manifest about another one: by its subject, or by a tag that holds the other's digest."""

    manifest: Manifest
    companion_tag: str = ""


class ShownTag(NamedTuple):
    """What a list of artifacts shows of a tag; a page may hold thousands."""

    manifest_id: int
    id: int
    repository_id: int
    name: str
    started_at: datetime
    last_pulled_at: datetime | None
    expires_at: datetime | None
    awaits_life: bool


class Child(NamedTuple):
    """What a list of artifacts shows of a child of an index, which ``parent_id`` is."""

    parent_id: int
    child_id: int
    digest: Any
    platform: Any
    annotations: Any


def digest_text(stored: Any) -> str:
    """Return a stored digest as text."""
    return Digest.text_of(bytes(stored))


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
    is_list: bool = False,
    with_tags: bool = True,
    with_accessories: bool = False,
    with_inherited_accessories: bool = False,
    with_labels: bool = False,
) -> Mapping[str, Any]:
    """Return tags, children, accessories and labels of the manifests of a project, by manifest id.

    With tags comes the immutability of those in each repository, by its name. What their
    configurations say is read, too, where it has not been yet. A list leaves out large annotations.
    """
    read_attributes(manifests)
    return {
        "is_list": is_list,
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


def _tags(manifests: Sequence[Manifest]) -> Mapping[int, list[ShownTag]]:
    tags: dict[int, list[ShownTag]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests]
    rows = Tag.objects.filter(manifest__in=ids, ended_at=None).order_by("-started_at", "id")
    lives = {manifest.pk: manifest.tag_life for manifest in manifests}
    for row in rows.values_list(*ShownTag._fields):
        tag = ShownTag(*row)
        life = lives[tag.manifest_id] if tag.awaits_life else None
        # What was read just now, and could not be kept, counts already.
        tags[tag.manifest_id].append(
            tag if life is None else tag._replace(expires_at=tag.started_at + life)
        )
    return tags


def _references(manifests: Sequence[Manifest]) -> Mapping[int, list[Child]]:
    children: dict[int, list[Child]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests if manifest.media_type in INDEX_TYPES]
    rows = ManifestReference.objects.filter(parent__in=ids, child__isnull=False)
    for row in rows.order_by("parent_id", "position").values_list(*Child._fields):
        children[row[0]].append(Child(*row))
    return children


def _labels(manifests: Sequence[Manifest]) -> Mapping[int, list[Label]]:
    labels: dict[int, list[Label]] = defaultdict(list)
    ids = [manifest.pk for manifest in manifests]
    rows = ManifestLabel.objects.filter(manifest__in=ids).select_related("label")
    for row in rows.order_by("label__name", "label_id"):
        labels[row.manifest_id].append(row.label)
    return labels


def companions_of(manifests: Sequence[Manifest]) -> "QuerySet[Tag]":
    """Return the live tags by which other manifests are about these, with their manifests."""
    digests = [Digest.from_bytes(bytes(manifest.digest)) for manifest in manifests]
    return Tag.objects.filter(
        repository__in=list({manifest.repository_id for manifest in manifests}),
        name__in=sorted({name for digest in digests for name in companion_tags(digest)}),
        ended_at=None,
    )


def _accessories(manifests: Sequence[Manifest]) -> Mapping[int, list[Accessory]]:
    """Return what is about each, by id; both are in the same repository."""
    ids = {(manifest.repository_id, bytes(manifest.digest)): manifest.pk for manifest in manifests}
    found: dict[int, dict[int, Accessory]] = defaultdict(dict)
    named = {
        (manifest.repository_id, name): manifest.pk
        for manifest in manifests
        for name in companion_tags(Digest.from_bytes(bytes(manifest.digest)))
    }
    tags = companions_of(manifests).select_related("manifest")
    for tag in tags.defer("manifest__payload", "manifest__extra_attrs"):
        if tag.manifest is not None:
            about = named.get((tag.repository_id, tag.name), 0)
            found[about][tag.manifest.pk] = Accessory(tag.manifest, tag.name)
    rows = Manifest.objects.filter(
        repository__in=list({repository for repository, _ in ids}),
        subject__in=list({digest for _, digest in ids}),
    )
    for manifest in rows.defer("payload", "extra_attrs"):
        about = ids.get((manifest.repository_id, bytes(manifest.subject or b"")), 0)
        found[about].setdefault(manifest.pk, Accessory(manifest))
    return {about: [each for _, each in sorted(those.items())] for about, those in found.items()}


def _inherited(manifests: Sequence[Manifest]) -> Mapping[int, list[tuple[Manifest, Accessory]]]:
    """Return what is attached to the indexes that list each manifest, with the index."""
    ids = [manifest.pk for manifest in manifests]
    rows = ManifestReference.objects.filter(child__in=ids).select_related("parent__repository")
    rows = rows.defer("parent__payload", "parent__extra_attrs").order_by("parent_id", "position")
    references = list(rows)
    parents = {reference.parent_id: reference.parent for reference in references}
    attached = _accessories(list(parents.values()))
    inherited: dict[int, dict[int, tuple[Manifest, Accessory]]] = defaultdict(dict)
    for reference in references:
        for accessory in attached.get(reference.parent_id, ()):
            found = (reference.parent, accessory)
            inherited[reference.child_id or 0][accessory.manifest.pk] = found
    return {child: list(found.values()) for child, found in inherited.items()}
