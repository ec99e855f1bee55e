"""Pure decisions of imports: names, layout of a source, order, tags."""

from collections.abc import Container, Iterator, Mapping
from typing import Final

from core.imports.errors import SourceFault
from core.imports.types import LiveTag, SourceManifest, TagStep
from core.oci.digest import Digest
from core.oci.errors import DigestInvalid, NameInvalid
from core.oci.manifest import ManifestRef, ParsedManifest, ReferenceRole
from core.oci.reference import RepositoryName, parse_repository_name
from core.projects.rules import is_valid_name

MAXIMUM_LINK_BYTES: Final = 1_024
"""A link file holds one digest."""


def target_name(source_name: str, default_project: str | None) -> RepositoryName:
    """Return the repository that takes over one of the source.

    Its first component is the project; a name of one component goes to the default project.
    Raises SourceFault.
    """
    name = source_name
    if "/" not in source_name:
        if default_project is None:
            raise SourceFault("The name has no project: choose one with --project.")
        name = f"{default_project}/{source_name}"
    try:
        target = parse_repository_name(name)
    except NameInvalid as error:
        raise SourceFault(error.message) from error
    if not is_valid_name(target.project):
        raise SourceFault(f"{target.project} cannot be the name of a project.")
    return target


def blob_path(digest: Digest) -> tuple[str, ...]:
    """Return where a source keeps the bytes of a digest."""
    return ("blobs", digest.algorithm, digest.hex[:2], digest.hex, "data")


def linked_digest(content: bytes) -> Digest:
    """Return the digest that a link file holds. Raises SourceFault."""
    try:
        return Digest.parse(content.decode("ascii").strip())
    except (UnicodeDecodeError, DigestInvalid) as error:
        raise SourceFault("The link file does not hold a digest.") from error


def required_blobs(parsed: ParsedManifest) -> Iterator[ManifestRef]:
    """Yield what a manifest needs of the blobs of its repository, each digest once."""
    seen: set[Digest] = set()
    for reference in parsed.references:
        is_blob = reference.role in (ReferenceRole.CONFIG, ReferenceRole.LAYER)
        if is_blob and reference.digest not in seen:
            seen.add(reference.digest)
            yield reference


def missing_children(parsed: ParsedManifest, there: Container[Digest]) -> list[Digest]:
    """Return the manifests that an index lists and that are not there."""
    return [
        child.digest
        for child in parsed.references
        if child.role is ReferenceRole.CHILD and child.digest not in there
    ]


def children_first(manifests: Mapping[Digest, SourceManifest]) -> list[SourceManifest]:
    """Return the manifests with every index after the manifests that it lists.

    The lists form no ring, because a digest cannot be known before its content. Goes down in a
    loop: indexes may be nested deeper than functions may be.
    """
    ordered: dict[Digest, SourceManifest] = {}
    for digest in sorted(manifests):
        waiting = [digest]
        while waiting:
            manifest = manifests[waiting[-1]]
            missing = [
                child.digest
                for child in manifest.parsed.references
                if child.digest in manifests and child.digest not in ordered
            ]
            if missing and manifest.digest not in ordered:
                waiting.extend(missing)
            else:
                ordered[waiting.pop()] = manifest
    return list(ordered.values())


def tag_step(wanted: Digest, live: LiveTag | None, importer: str) -> TagStep:
    """Decide on a tag of the source.

    One that an earlier import set follows the source; one that somebody else set stays.
    """
    if live is None:
        return TagStep.CREATE
    if live.digest == wanted:
        return TagStep.NOTHING
    return TagStep.MOVE if live.set_by == importer else TagStep.KEEP_THEIRS
