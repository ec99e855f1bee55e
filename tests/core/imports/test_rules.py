"""Pure decisions of imports."""

import pytest

from core.imports.errors import SourceFault
from core.imports.rules import (
    children_first,
    linked_digest,
    missing_children,
    required_blobs,
    tag_step,
    target_name,
)
from core.imports.types import LiveTag, SourceManifest, TagStep
from core.oci.digest import Digest
from core.oci.manifest import parse_manifest
from core.oci.media_types import OCI_IMAGE_INDEX
from tests.factories.artifacts import image_document, index_document

pytestmark = pytest.mark.pure

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def manifest(payload: bytes) -> SourceManifest:
    return SourceManifest(Digest.of(payload), payload, parse_manifest(payload, None))


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("team/app", None, "team/app"),
        ("team/a/b__c/d", "other", "team/a/b__c/d"),
        ("app", "library", "library/app"),
    ],
)
def test_names(name: str, default: str | None, expected: str) -> None:
    assert str(target_name(name, default)) == expected


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("app", None),
        ("Team/app", None),
        ("team/.hidden", None),
        ("te__am/app", None),
        ("a--b/app", None),
        ("x" * 250, "library"),
        ("app", "UPPER"),
    ],
)
def test_names_that_cannot_be_taken_over(name: str, default: str | None) -> None:
    with pytest.raises(SourceFault):
        target_name(name, default)


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_link_holds_a_digest(ending: bytes) -> None:
    assert linked_digest(str(ONE).encode() + ending) == ONE


@pytest.mark.parametrize(
    "content", [b"", b"sha256:", b"sha256:" + b"A" * 64, b"\xff\xfe", b"../../etc/passwd", b"md5:0"]
)
def test_a_link_with_garbage(content: bytes) -> None:
    with pytest.raises(SourceFault):
        linked_digest(content)


def test_children_come_before_their_indexes_however_deep() -> None:
    payloads = [image_document()]
    for _ in range(1_500):
        payloads.append(index_document(payloads[-1], media_type=OCI_IMAGE_INDEX))
    found = {item.digest: item for item in map(manifest, reversed(payloads))}
    ordered = [item.payload for item in children_first(found)]
    assert ordered == payloads


def test_children_that_are_missing_are_not_waited_for() -> None:
    index = manifest(index_document(image_document(), b"absent"))
    child = manifest(image_document())
    assert children_first({index.digest: index}) == [index]
    assert missing_children(index.parsed, {child.digest}) == [Digest.of(b"absent")]


def test_an_image_needs_each_blob_once_and_an_index_none() -> None:
    image = parse_manifest(image_document(b"{}", [b"a", b"b", b"a"]), None)
    assert [blob.digest for blob in required_blobs(image)] == [
        Digest.of(content) for content in (b"{}", b"a", b"b")
    ]
    assert list(required_blobs(parse_manifest(index_document(b"child"), None))) == []


@pytest.mark.parametrize(
    ("live", "step"),
    [
        (None, TagStep.CREATE),
        (LiveTag(ONE, "import"), TagStep.NOTHING),
        (LiveTag(ONE, "somebody"), TagStep.NOTHING),
        (LiveTag(TWO, "import"), TagStep.MOVE),
        (LiveTag(TWO, "somebody"), TagStep.KEEP_THEIRS),
    ],
)
def test_tags(live: LiveTag | None, step: TagStep) -> None:
    assert tag_step(ONE, live, "import") is step
