"""Reading the additions of an artifact."""

import json
from typing import Final

from core.additions import rules
from core.additions.archives import MAXIMUM_FILE_BYTES, MAXIMUM_PACKED_BYTES, read_files
from core.additions.errors import AdditionMissing
from core.additions.types import Addition
from core.artifacts.contents import read_blob, read_pieces
from core.artifacts.models import Manifest, ManifestReference
from core.oci.configs import (
    MAXIMUM_CONFIG_BYTES,
    build_history,
    chart_dependencies,
    chart_name,
)
from core.oci.manifest import ReferenceRole
from core.oci.media_types import HELM_CHART_CONTENT, ArtifactKind, artifact_kind

MAXIMUM_SBOM_BYTES: Final = 32 << 20
JSON: Final = "application/json; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_MARKDOWN: Final = "text/markdown; charset=utf-8"
_CHART_FILES: Final = {"values.yaml": ("values.yaml", _TEXT), "readme.md": ("README.md", _MARKDOWN)}
_MODEL_FILES: Final = {"readme.md": (rules.READMES, _MARKDOWN), "license": (rules.LICENSES, _TEXT)}


def read_addition(manifest: Manifest, name: str) -> Addition:
    """Return an addition of an artifact.

    Raises ``AdditionUnsupported`` for one that its kind does not have, ``AdditionMissing`` for one
    that it lacks itself, ``BlobUnknown`` when its content is missing or damaged,
    ``ContentNotShown`` when that is too large or broken, and ``StorageFailed``.
    """
    kind = artifact_kind(manifest.config_media_type, manifest.artifact_type)
    rules.ensure_supported(kind, name)
    if name == "build_history":
        return _json(build_history(_config(manifest)))
    if name == "dependencies":
        return _json(chart_dependencies(_config(manifest)))
    if name == "sbom":
        return _sbom(manifest, kind)
    if name == "files":
        return _json(rules.model_files(_described(row) for row in _layers(manifest)))
    if kind is ArtifactKind.CHART:
        return _chart_file(manifest, *_CHART_FILES[name])
    return _model_file(manifest, *_MODEL_FILES[name])


def _json(document: object) -> Addition:
    return Addition(JSON, json.dumps(document).encode())


def _config(manifest: Manifest) -> bytes:
    """Return the configuration; an index has none."""
    rows = ManifestReference.objects.filter(parent=manifest, role=ReferenceRole.CONFIG)
    config = rows.select_related("blob").first()
    if config is None or config.blob is None:
        raise AdditionMissing
    return read_blob(config.blob, maximum_bytes=MAXIMUM_CONFIG_BYTES)


def _layers(manifest: Manifest) -> list[ManifestReference]:
    rows = ManifestReference.objects.filter(parent=manifest, role=ReferenceRole.LAYER)
    return list(rows.select_related("blob").order_by("position"))


def _described(row: ManifestReference) -> rules.Layer:
    return rules.Layer(row.media_type, row.size_bytes, row.annotations or {})


def _chart_file(manifest: Manifest, file: str, media_type: str) -> Addition:
    """Return a file of the chart itself; charts inside of it have files of that name, too."""
    name = chart_name(_config(manifest))
    layer = next((row for row in _layers(manifest) if row.media_type == HELM_CHART_CONTENT), None)
    if name is None or layer is None or layer.blob is None:
        raise AdditionMissing
    path = f"{name}/{file}"
    pieces = read_pieces(layer.blob, maximum_bytes=MAXIMUM_PACKED_BYTES)
    found = read_files(pieces, [path], is_compressed=True)
    if path not in found:
        raise AdditionMissing(f"The chart has no file {file}.")
    return Addition(media_type, found[path])


def _model_file(manifest: Manifest, names: tuple[str, ...], media_type: str) -> Addition:
    layers = _layers(manifest)
    described = [_described(row) for row in layers]
    place = rules.document_layer(described, names)
    blob = None if place is None else layers[place].blob
    if place is None or blob is None:
        raise AdditionMissing
    layer = described[place]
    if layer.is_raw:
        return Addition(media_type, read_blob(blob, maximum_bytes=MAXIMUM_FILE_BYTES))
    if not layer.is_archive:
        raise AdditionMissing(f"The layer of type {layer.media_type} cannot be looked into.")
    pieces = read_pieces(blob, maximum_bytes=MAXIMUM_PACKED_BYTES)
    found = read_files(pieces, [layer.path], is_compressed=layer.is_compressed)
    if layer.path not in found:
        raise AdditionMissing
    return Addition(media_type, found[layer.path])


def _sbom(manifest: Manifest, kind: ArtifactKind) -> Addition:
    """Return the SBOM that the artifact is, or the newest one that is about it."""
    source: Manifest | None = manifest
    if kind is not ArtifactKind.SBOM:
        about = Manifest.objects.filter(
            repository_id=manifest.repository_id, subject=bytes(manifest.digest)
        )
        source = next(
            (
                row
                for row in about.defer("payload", "extra_attrs").order_by("-pushed_at", "-id")[:100]
                if artifact_kind(row.config_media_type, row.artifact_type) is ArtifactKind.SBOM
            ),
            None,
        )
    layers = [] if source is None else _layers(source)
    if not layers or layers[0].blob is None:
        raise AdditionMissing("The artifact has no SBOM.")
    return Addition(JSON, read_blob(layers[0].blob, maximum_bytes=MAXIMUM_SBOM_BYTES))
