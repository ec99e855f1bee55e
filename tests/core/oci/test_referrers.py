"""The referrers answer lists descriptors with the fallback of artifactType."""

import json

import pytest

from core.oci.descriptor import Descriptor
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST
from core.oci.referrers import (
    encode_descriptor,
    referrer_artifact_type,
    referrer_descriptor,
    referrers_index,
    referrers_tag,
)

pytestmark = pytest.mark.pure

SIGNATURE = "application/vnd.example.signature.v1"
CONFIG = "application/vnd.example.config.v1+json"


@pytest.mark.parametrize(
    ("artifact_type", "config_media_type", "expected"),
    [
        (SIGNATURE, CONFIG, SIGNATURE),
        (SIGNATURE, None, SIGNATURE),
        (None, CONFIG, CONFIG),
        ("", CONFIG, CONFIG),
        (None, None, None),
        ("", "", None),
    ],
)
def test_artifact_type_fallback(
    artifact_type: str | None, config_media_type: str | None, expected: str | None
) -> None:
    assert referrer_artifact_type(artifact_type, config_media_type) == expected


def test_empty_index() -> None:
    assert json.loads(referrers_index([])) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
    }


def test_index_lists_descriptors_in_order_with_annotations() -> None:
    signature = referrer_descriptor(
        media_type=OCI_IMAGE_MANIFEST,
        digest=Digest.of(b"signature"),
        size=9,
        artifact_type="",
        config_media_type=CONFIG,
        annotations={"org.example.note": 'größer "als" \\ 1'},
    )
    index = referrer_descriptor(
        media_type=OCI_IMAGE_INDEX,
        digest=Digest.of(b"index", "sha512"),
        size=5,
        artifact_type=None,
        config_media_type=None,
        annotations={},
    )

    assert json.loads(referrers_index([signature, index]))["manifests"] == [
        {
            "mediaType": OCI_IMAGE_MANIFEST,
            "digest": str(Digest.of(b"signature")),
            "size": 9,
            "annotations": {"org.example.note": 'größer "als" \\ 1'},
            "artifactType": CONFIG,
        },
        {
            "mediaType": OCI_IMAGE_INDEX,
            "digest": str(Digest.of(b"index", "sha512")),
            "size": 5,
        },
    ]


def test_pages_can_be_cut_by_the_length_of_encoded_descriptors() -> None:
    descriptors = [Descriptor(SIGNATURE, Digest.of(bytes([n])), n) for n in range(5)]
    encoded = [encode_descriptor(descriptor) for descriptor in descriptors]

    separators = len(encoded) - 1
    assert len(referrers_index(descriptors)) == (
        len(referrers_index([])) + sum(map(len, encoded)) + separators
    )


def test_fallback_tag() -> None:
    assert referrers_tag(Digest("sha256", "ab" * 32)) == "sha256-" + "ab" * 32
    assert referrers_tag(Digest("sha512", "ab" * 64)) == "sha512-" + "ab" * 32
