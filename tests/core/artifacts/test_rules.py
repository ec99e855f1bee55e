"""Pure decisions on pushes, tags and preconditions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from core.artifacts.errors import ManifestBlobUnknown, PreconditionFailed
from core.artifacts.rules import (
    MAXIMUM_TOTAL_BYTES,
    FoundContent,
    ResolvedReference,
    needs_renewal,
    pushed_digest,
    pushed_tags,
    require_precondition,
    resolve_references,
    total_bytes,
)
from core.blobs.errors import DigestMismatch
from core.oci.descriptor import Descriptor
from core.oci.digest import Digest
from core.oci.entity_tags import parse_entity_tags
from core.oci.errors import ManifestInvalid, TagInvalid
from core.oci.manifest import ManifestRef, ReferenceRole
from core.oci.media_types import OCI_IMAGE_MANIFEST, OCI_LAYER

pytestmark = pytest.mark.pure

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def reference(
    digest: Digest, role: ReferenceRole, media_type: str = OCI_LAYER, size: int = 3
) -> ManifestRef:
    found = Descriptor(media_type=media_type, digest=digest, size=size)
    return ManifestRef(role, found)


def blob(number: int = 1, size: int = 3) -> FoundContent:
    return FoundContent(number, None, size, size)


def manifest(number: int = 1, size: int = 3, total: int = 30) -> FoundContent:
    return FoundContent(None, number, size, total)


def resolve(
    references: Sequence[ManifestRef],
    blobs: Mapping[Digest, FoundContent],
    manifests: Mapping[Digest, FoundContent],
    *,
    accept_missing_blobs: bool = False,
) -> tuple[ResolvedReference, ...]:
    return resolve_references(
        references, blobs, manifests, accept_missing_blobs=accept_missing_blobs
    )


def test_the_digest_of_a_push_is_sha256_unless_one_is_given() -> None:
    assert pushed_digest(b"one", "latest") == ONE
    sha512 = Digest.of(b"one", "sha512")
    assert pushed_digest(b"one", sha512) == sha512
    with pytest.raises(DigestMismatch):
        pushed_digest(b"two", ONE)


@pytest.mark.parametrize(
    ("given", "extra", "tags"),
    [
        ("v1", [], ("v1",)),
        ("v1", ["v2"], ("v1",)),
        (ONE, [], ()),
        (ONE, ["b", "a", "b"], ("a", "b")),
    ],
)
def test_the_tags_of_a_push(given: Digest | str, extra: list[str], tags: tuple[str, ...]) -> None:
    assert pushed_tags(given, extra) == tags


@pytest.mark.parametrize(("given", "extra"), [(".v1", []), (ONE, ["fine", "a b"])])
def test_bad_tags_are_refused(given: Digest | str, extra: list[str]) -> None:
    with pytest.raises(TagInvalid):
        pushed_tags(given, extra)


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "current", "holds"),
    [
        (None, None, None, True),
        (None, None, ONE, True),
        ("*", None, ONE, True),
        ("*", None, None, False),
        (f'"{ONE}"', None, ONE, True),
        (f'"{ONE}"', None, TWO, False),
        (f'W/"{ONE}"', None, ONE, False),
        (f'"{ONE}"', None, None, False),
        (f'"{TWO}", "{ONE}"', None, ONE, True),
        (str(ONE), None, ONE, False),
        ("", None, ONE, False),
        (None, "*", None, True),
        (None, " * ", ONE, False),
        (None, f'"{ONE}"', ONE, False),
        (None, f'W/"{ONE}"', ONE, False),
        (None, f'"{TWO}"', ONE, True),
        (f'"{ONE}"', f'"{ONE}"', ONE, False),
    ],
)
def test_preconditions(
    if_match: str | None, if_none_match: str | None, current: Digest | None, holds: bool
) -> None:
    conditions = [
        None if header is None else parse_entity_tags(header)
        for header in (if_match, if_none_match)
    ]
    if holds:
        require_precondition(*conditions, current)
    else:
        with pytest.raises(PreconditionFailed):
            require_precondition(*conditions, current)


def test_references_find_their_content() -> None:
    config = reference(ONE, ReferenceRole.CONFIG)
    child = reference(TWO, ReferenceRole.CHILD, OCI_IMAGE_MANIFEST)
    resolved = resolve([config, child], {ONE: blob()}, {TWO: manifest()})
    assert [(item.role, item.content) for item in resolved] == [
        (ReferenceRole.CONFIG, blob()),
        (ReferenceRole.CHILD, manifest()),
    ]
    assert total_bytes(100, resolved) == 133


def test_each_content_is_counted_once() -> None:
    twice = [reference(ONE, ReferenceRole.LAYER), reference(ONE, ReferenceRole.LAYER)]
    assert total_bytes(10, resolve(twice, {ONE: blob()}, {})) == 13


def test_a_foreign_layer_may_be_missing() -> None:
    foreign = reference(ONE, ReferenceRole.FOREIGN)
    resolved = resolve([foreign], {}, {})
    assert resolved[0].content is None
    assert not resolved[0].is_waiting
    assert total_bytes(10, resolved) == 10


def test_a_manifest_of_an_index_is_never_found_among_blobs() -> None:
    child = reference(ONE, ReferenceRole.CHILD, OCI_IMAGE_MANIFEST)
    (resolved,) = resolve([child], {ONE: blob()}, {})
    assert (resolved.role, resolved.content) == (ReferenceRole.CHILD, None)


def test_a_missing_child_waits_and_counts_with_the_size_stated() -> None:
    child = reference(ONE, ReferenceRole.CHILD, OCI_IMAGE_MANIFEST)
    resolved = resolve([child, child], {}, {})
    assert all(item.is_waiting for item in resolved)
    assert total_bytes(10, resolved) == 13


@pytest.mark.parametrize(
    ("role", "resolved_role"),
    [
        (ReferenceRole.CONFIG, ReferenceRole.CONFIG),
        (ReferenceRole.LAYER, ReferenceRole.LAYER),
        (ReferenceRole.CHILD, ReferenceRole.LAYER),
    ],
)
def test_a_missing_blob_waits_only_where_that_is_accepted(
    role: ReferenceRole, resolved_role: ReferenceRole
) -> None:
    missing = reference(ONE, role, OCI_LAYER)
    with pytest.raises(ManifestBlobUnknown):
        resolve([missing], {}, {})
    (resolved,) = resolve([missing], {}, {}, accept_missing_blobs=True)
    assert (resolved.role, resolved.is_waiting) == (resolved_role, True)
    assert total_bytes(10, [resolved]) == 13


def test_a_size_that_the_database_cannot_keep_ends_at_the_largest() -> None:
    children = [reference(digest, ReferenceRole.CHILD, OCI_IMAGE_MANIFEST) for digest in (ONE, TWO)]
    huge = {digest: manifest(total=MAXIMUM_TOTAL_BYTES) for digest in (ONE, TWO)}
    assert total_bytes(10, resolve(children, {}, huge)) == MAXIMUM_TOTAL_BYTES


def test_other_entries_of_an_index_may_be_blobs() -> None:
    entry = reference(ONE, ReferenceRole.CHILD, OCI_LAYER)
    (resolved,) = resolve([entry], {ONE: blob()}, {})
    assert (resolved.role, resolved.content) == (ReferenceRole.LAYER, blob())


def test_everything_missing_is_named_once_and_before_sizes_are_judged() -> None:
    references = [
        reference(ONE, ReferenceRole.LAYER),
        reference(TWO, ReferenceRole.CONFIG),
        reference(ONE, ReferenceRole.LAYER),
        reference(Digest.of(b"three"), ReferenceRole.LAYER, size=9),
    ]
    with pytest.raises(ManifestBlobUnknown) as refusal:
        resolve(references, {Digest.of(b"three"): blob()}, {})
    assert refusal.value.digests == (ONE, TWO)
    assert refusal.value.detail == {"digests": [str(ONE), str(TWO)]}


@pytest.mark.parametrize("size", [2, 4])
def test_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(ManifestInvalid):
        resolve([reference(ONE, ReferenceRole.LAYER, size=size)], {ONE: blob()}, {})


@pytest.mark.parametrize(
    ("hours_left", "needed"), [(24, False), (12, False), (11, True), (-1, True)]
)
def test_a_lease_is_renewed_when_less_than_half_is_left(hours_left: int, needed: bool) -> None:
    assert needs_renewal(NOON + timedelta(hours=hours_left), NOON) is needed
