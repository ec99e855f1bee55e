"""Blobs and images made for pushes."""

import hashlib
import json

import pytest

from bench.content import ContentMaker, make_image
from core.oci.manifest import parse_manifest

pytestmark = pytest.mark.pure


def test_every_blob_is_new_and_has_its_size_and_digest() -> None:
    maker = ContentMaker(5_000)
    first, second = maker.make(), maker.make()
    assert first.digest != second.digest
    for content in (first, second):
        assert content.size_bytes == len(content.whole) == 5_000
        assert content.digest == f"sha256:{hashlib.sha256(content.whole).hexdigest()}"


def test_an_image_names_its_blobs() -> None:
    image = make_image(ContentMaker(1_500))
    parse_manifest(image.manifest, None)
    document = json.loads(image.manifest)
    assert document["config"]["digest"] == image.config.digest
    assert [layer["digest"] for layer in document["layers"]] == [image.layer.digest]
    assert 700 < len(image.manifest) < 1_500
    assert image.digest == f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
