"""Media types fall into disjoint sets and decide the kind of an artifact."""

import itertools

import pytest

from core.oci import media_types
from core.oci.media_types import ArtifactKind, artifact_kind

pytestmark = pytest.mark.pure


def test_sets_do_not_overlap() -> None:
    sets = [
        media_types.IMAGE_MANIFEST_TYPES,
        media_types.INDEX_TYPES,
        media_types.SCHEMA1_TYPES,
        media_types.IMAGE_CONFIG_TYPES,
        media_types.LAYER_TYPES,
        media_types.FOREIGN_LAYER_TYPES,
    ]

    assert all(not first & second for first, second in itertools.combinations(sets, 2))


def test_manifest_types_are_those_that_are_accepted() -> None:
    assert sorted(media_types.MANIFEST_TYPES) == [
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    ]


@pytest.mark.parametrize(
    ("config_media_type", "artifact_type", "expected"),
    [
        ("application/vnd.oci.image.config.v1+json", None, ArtifactKind.IMAGE),
        ("application/vnd.docker.container.image.v1+json", None, ArtifactKind.IMAGE),
        ("application/vnd.docker.container.image.v1+json", "", ArtifactKind.IMAGE),
        (None, None, ArtifactKind.IMAGE),
        ("", "", ArtifactKind.IMAGE),
        ("application/vnd.cncf.helm.config.v1+json", None, ArtifactKind.CHART),
        ("application/vnd.cnab.config.v1+json", None, ArtifactKind.CNAB),
        (None, "application/vnd.cnab.manifest.v1", ArtifactKind.CNAB),
        ("application/vnd.wasm.config.v0+json", None, ArtifactKind.WASM),
        ("application/vnd.wasm.config.v1+json", None, ArtifactKind.WASM),
        ("application/vnd.cncf.model.config.v1+json", None, ArtifactKind.CNAI),
        (media_types.OCI_EMPTY, "application/vnd.cncf.model.manifest.v1+json", ArtifactKind.CNAI),
        (media_types.OCI_EMPTY, "application/spdx+json", ArtifactKind.SBOM),
        (media_types.OCI_IMAGE_CONFIG, "application/vnd.cyclonedx+json", ArtifactKind.SBOM),
        ("application/vnd.goharbor.harbor.sbom.v1", None, ArtifactKind.SBOM),
        (media_types.OCI_EMPTY, "application/vnd.example.thing", ArtifactKind.UNKNOWN),
        (media_types.OCI_EMPTY, None, ArtifactKind.UNKNOWN),
        (None, "application/vnd.example.thing", ArtifactKind.UNKNOWN),
        ("application/vnd.kitops.modelkit.config.v1+json", None, ArtifactKind.UNKNOWN),
        (
            media_types.OCI_IMAGE_CONFIG,
            "application/vnd.example.thing",
            ArtifactKind.IMAGE,
        ),
    ],
)
def test_artifact_kind(
    config_media_type: str | None, artifact_type: str | None, expected: ArtifactKind
) -> None:
    assert artifact_kind(config_media_type, artifact_type) is expected
