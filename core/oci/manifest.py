"""Reading manifests: which content they refer to, what they are, what they are about.

The bytes of a manifest are stored and returned as they came; what is parsed here serves to
check and to index them (OCI image-spec, manifest and image-index).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from core.oci import media_types
from core.oci.descriptor import Descriptor, parse_annotations, parse_descriptor, parse_media_type
from core.oci.digest import Digest
from core.oci.errors import ManifestInvalid, ManifestTooLarge, excerpt
from core.oci.strict_json import known_keys, parse_object, refuse_case_variants

MAX_MANIFEST_BYTES: Final = 4_194_304
MAX_REFERENCES: Final = 10_000

_MANIFEST_KEYS: Final = known_keys(
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
)


class ManifestKind(StrEnum):
    """Whether a manifest lists the layers of one artifact, or other manifests."""

    IMAGE = "image"
    INDEX = "index"


class ReferenceRole(StrEnum):
    """What referenced content is to the manifest."""

    CONFIG = "config"
    LAYER = "layer"
    CHILD = "child"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class ManifestRef:
    """One reference of a manifest. Content with the role FOREIGN need not be in the registry."""

    role: ReferenceRole
    descriptor: Descriptor

    @property
    def digest(self) -> Digest:
        """Digest of the referenced content."""
        return self.descriptor.digest

    @property
    def size(self) -> int:
        """Size of the referenced content in bytes, as the manifest states it."""
        return self.descriptor.size

    @property
    def media_type(self) -> str:
        """Media type of the referenced content."""
        return self.descriptor.media_type


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """What a manifest says. References stand in document order, the config first.

    ``artifact_type`` is None when absent or empty; an index has no ``config_media_type``.
    """

    kind: ManifestKind
    media_type: str
    artifact_type: str | None
    config_media_type: str | None
    subject: Descriptor | None
    references: tuple[ManifestRef, ...]
    annotations: Mapping[str, str] = field(hash=False)

    @property
    def is_image(self) -> bool:
        """Whether this is an image manifest, of OCI or Docker."""
        return self.kind is ManifestKind.IMAGE

    @property
    def is_index(self) -> bool:
        """Whether this is an image index or a Docker manifest list."""
        return self.kind is ManifestKind.INDEX

    @property
    def artifact_kind(self) -> media_types.ArtifactKind:
        """What the artifact is to its users."""
        return media_types.artifact_kind(self.config_media_type, self.artifact_type)


def parse_manifest(payload: bytes, content_type: str | None) -> ParsedManifest:
    """Check a manifest strictly and return what it says.

    ``content_type`` is the header of the request, parameters included, or None. Without it
    and without a ``mediaType`` member the OCI type is inferred from the structure. Raises
    ManifestTooLarge above 4 MiB and ManifestInvalid for every other fault.
    """
    if len(payload) > MAX_MANIFEST_BYTES:
        raise ManifestTooLarge(f"The manifest is larger than {MAX_MANIFEST_BYTES} bytes.")
    document = parse_object(payload)
    refuse_case_variants(document, _MANIFEST_KEYS, "The manifest")
    media_type = _resolve_media_type(document, content_type)
    _require_schema_version(document)
    kind = _kind_of(document, media_type)
    references = _image_references(document) if kind is ManifestKind.IMAGE else _children(document)
    subject = document.get("subject")
    return ParsedManifest(
        kind=kind,
        media_type=media_type,
        artifact_type=parse_media_type(document.get("artifactType"), "artifactType"),
        config_media_type=references[0].media_type if kind is ManifestKind.IMAGE else None,
        subject=None if subject is None else parse_descriptor(subject, "subject"),
        references=references,
        annotations=parse_annotations(document.get("annotations"), "annotations"),
    )


def _resolve_media_type(document: dict[str, object], content_type: str | None) -> str:
    """Return the manifest's media type from header, body or structure."""
    header = (content_type or "").partition(";")[0].strip().lower()
    body = parse_media_type(document.get("mediaType"), "mediaType")
    if {header, body} & media_types.SCHEMA1_TYPES or "fsLayers" in document:
        raise _schema1_refused()
    if header and body and header != body:
        raise ManifestInvalid(
            f"The Content-Type is {excerpt(header)}, but mediaType says {excerpt(body)}."
        )
    media_type = header or body or _inferred_media_type(document)
    if media_type not in media_types.MANIFEST_TYPES:
        raise ManifestInvalid(
            f"{excerpt(media_type)} is not a supported manifest media type; supported are "
            f"{', '.join(sorted(media_types.MANIFEST_TYPES))}."
        )
    return media_type


def _inferred_media_type(document: dict[str, object]) -> str:
    """Return the OCI type: Docker's types require ``mediaType`` in the body, OCI's do not."""
    if "manifests" in document:
        return media_types.OCI_IMAGE_INDEX
    if "config" in document or "layers" in document:
        return media_types.OCI_IMAGE_MANIFEST
    if document.get("schemaVersion") == 1:
        raise _schema1_refused()
    raise ManifestInvalid("The manifest has no mediaType, and none follows from its members.")


def _require_schema_version(document: dict[str, object]) -> None:
    version = document.get("schemaVersion")
    # True == 1 and 2.0 == 2 in Python, so the exact type is asked for.
    if type(version) is int and version == 1:
        raise _schema1_refused()
    if type(version) is not int or version != 2:
        raise ManifestInvalid("schemaVersion must be the number 2.")


def _schema1_refused() -> ManifestInvalid:
    return ManifestInvalid(
        "Docker image manifests of schema 1 are not supported; push the image again with a "
        "current client, which writes schema 2 or OCI manifests."
    )


def _kind_of(document: dict[str, object], media_type: str) -> ManifestKind:
    """Return the kind, having refused documents that could be read as both (CVE-2021-41190)."""
    is_index = media_type in media_types.INDEX_TYPES
    foreign_members = ("config", "layers") if is_index else ("manifests",)
    for name in foreign_members:
        if name in document:
            raise ManifestInvalid(f"A manifest of type {media_type} must not have {name!r}.")
    return ManifestKind.INDEX if is_index else ManifestKind.IMAGE


def _image_references(document: dict[str, object]) -> tuple[ManifestRef, ...]:
    config = parse_descriptor(document.get("config"), "config")
    # Programs written in Go emit null for an empty list, and artifacts may have no layers.
    items = _items(document.get("layers"), "layers", limit=MAX_REFERENCES - 1)
    layers = (parse_descriptor(item, f"layers[{i}]") for i, item in enumerate(items))
    return (
        ManifestRef(ReferenceRole.CONFIG, config),
        *(ManifestRef(_layer_role(layer), layer) for layer in layers),
    )


def _layer_role(layer: Descriptor) -> ReferenceRole:
    """Return FOREIGN for a layer that clients fetch elsewhere, which takes a URL to do."""
    is_foreign = layer.media_type in media_types.FOREIGN_LAYER_TYPES and layer.urls
    return ReferenceRole.FOREIGN if is_foreign else ReferenceRole.LAYER


def _children(document: dict[str, object]) -> tuple[ManifestRef, ...]:
    if "manifests" not in document:
        raise ManifestInvalid("manifests is missing.")
    items = _items(document["manifests"], "manifests", limit=MAX_REFERENCES)
    return tuple(
        ManifestRef(ReferenceRole.CHILD, parse_descriptor(item, f"manifests[{i}]"))
        for i, item in enumerate(items)
    )


def _items(value: object, name: str, *, limit: int) -> list[object]:
    """Return the list of descriptors to parse; null counts as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestInvalid(f"{name} must be a list.")
    if len(value) > limit:
        raise ManifestInvalid(f"The manifest has more than {MAX_REFERENCES} references.")
    return value
