"""Media types of manifests, configurations and layers, and the kind of artifact they make."""

from enum import StrEnum
from typing import Final

OCI_IMAGE_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_IMAGE_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_IMAGE_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_NONDISTRIBUTABLE_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_NONDISTRIBUTABLE_LAYER_GZIP: Final = f"{OCI_NONDISTRIBUTABLE_LAYER}+gzip"
OCI_NONDISTRIBUTABLE_LAYER_ZSTD: Final = f"{OCI_NONDISTRIBUTABLE_LAYER}+zstd"

DOCKER_IMAGE_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_IMAGE_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

HELM_CHART_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART_CONTENT: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
HELM_CHART_PROVENANCE: Final = "application/vnd.cncf.helm.chart.provenance.v1.prov"
CNAB_CONFIG: Final = "application/vnd.cnab.config.v1+json"
CNAB_MANIFEST: Final = "application/vnd.cnab.manifest.v1"
WASM_CONFIG: Final = "application/vnd.wasm.config.v0+json"
WASM_CONFIG_V1: Final = "application/vnd.wasm.config.v1+json"
MODEL_CONFIG: Final = "application/vnd.cncf.model.config.v1+json"
MODEL_MANIFEST: Final = "application/vnd.cncf.model.manifest.v1+json"
HARBOR_SBOM: Final = "application/vnd.goharbor.harbor.sbom.v1"
SPDX_JSON: Final = "application/spdx+json"
SPDX_TEXT: Final = "text/spdx"
CYCLONEDX_JSON: Final = "application/vnd.cyclonedx+json"
CYCLONEDX_XML: Final = "application/vnd.cyclonedx+xml"
SYFT_JSON: Final = "application/vnd.syft+json"

IMAGE_MANIFEST_TYPES: Final = frozenset({OCI_IMAGE_MANIFEST, DOCKER_IMAGE_MANIFEST})
INDEX_TYPES: Final = frozenset({OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST})
MANIFEST_TYPES: Final = IMAGE_MANIFEST_TYPES | INDEX_TYPES
SCHEMA1_TYPES: Final = frozenset({DOCKER_SCHEMA1_MANIFEST, DOCKER_SCHEMA1_SIGNED_MANIFEST})
IMAGE_CONFIG_TYPES: Final = frozenset({OCI_IMAGE_CONFIG, DOCKER_IMAGE_CONFIG})
LAYER_TYPES: Final = frozenset(
    {OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP}
)
# Layers that a registry need not store: clients fetch them from the descriptor's ``urls``.
FOREIGN_LAYER_TYPES: Final = frozenset(
    {
        OCI_NONDISTRIBUTABLE_LAYER,
        OCI_NONDISTRIBUTABLE_LAYER_GZIP,
        OCI_NONDISTRIBUTABLE_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER,
        DOCKER_FOREIGN_LAYER_GZIP,
    }
)


class ArtifactKind(StrEnum):
    """What an artifact is to its users; the names are those of Harbor's API."""

    IMAGE = "IMAGE"
    CHART = "CHART"
    CNAB = "CNAB"
    WASM = "WASM"
    CNAI = "CNAI"
    SBOM = "SBOM"
    UNKNOWN = "UNKNOWN"


ADDITIONS: Final = {
    ArtifactKind.IMAGE: ("build_history", "sbom"),
    ArtifactKind.CHART: ("dependencies", "readme.md", "values.yaml"),
    ArtifactKind.WASM: ("build_history",),
    ArtifactKind.CNAI: ("files", "license", "readme.md"),
    ArtifactKind.SBOM: ("sbom",),
}
"""What can be read of artifacts of a kind beside their manifests."""


_KINDS_BY_TYPE: Final = {
    OCI_IMAGE_CONFIG: ArtifactKind.IMAGE,
    DOCKER_IMAGE_CONFIG: ArtifactKind.IMAGE,
    HELM_CHART_CONFIG: ArtifactKind.CHART,
    CNAB_CONFIG: ArtifactKind.CNAB,
    CNAB_MANIFEST: ArtifactKind.CNAB,
    WASM_CONFIG: ArtifactKind.WASM,
    WASM_CONFIG_V1: ArtifactKind.WASM,
    MODEL_CONFIG: ArtifactKind.CNAI,
    MODEL_MANIFEST: ArtifactKind.CNAI,
    HARBOR_SBOM: ArtifactKind.SBOM,
    SPDX_JSON: ArtifactKind.SBOM,
    SPDX_TEXT: ArtifactKind.SBOM,
    CYCLONEDX_JSON: ArtifactKind.SBOM,
    CYCLONEDX_XML: ArtifactKind.SBOM,
    SYFT_JSON: ArtifactKind.SBOM,
}


def artifact_kind(config_media_type: str | None, artifact_type: str | None) -> ArtifactKind:
    """Return the kind of an artifact from its configuration's media type and artifactType.

    A known ``artifact_type`` decides, since its config is often an empty or an image one. An
    index has no configuration; without an ``artifact_type`` it is a multi-platform image.
    """
    if not config_media_type and not artifact_type:
        return ArtifactKind.IMAGE
    by_artifact_type = _KINDS_BY_TYPE.get(artifact_type or "")
    by_config = _KINDS_BY_TYPE.get(config_media_type or "")
    return by_artifact_type or by_config or ArtifactKind.UNKNOWN
