"""Directories of other registries, sound, broken and hostile."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.imports.errors import SourceFault, SourceInvalid
from core.imports.tree import RegistryTree
from core.imports.types import Finding, SourceRepository
from core.oci.digest import Digest
from tests.core.imports.sources import CONFIG, IMAGE, LAYER, Source, schema1, write
from tests.factories.artifacts import image_document, index_document

pytestmark = pytest.mark.pure

APP = "team/app"
IMAGE_DIGEST = Digest.of(IMAGE)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source with one image."""
    made = Source(tmp_path / "source")
    made.image(APP, "v1")
    return made


def read(
    source: Source, name: str = APP, known: frozenset[Digest] = frozenset()
) -> tuple[SourceRepository, list[Finding]]:
    findings: list[Finding] = []
    with RegistryTree(source.path) as tree:
        return tree.repository(name, known, findings.append), findings


def names(source: Source) -> tuple[list[str], list[Finding]]:
    findings: list[Finding] = []
    with RegistryTree(source.path) as tree:
        return tree.repository_names(findings.append), findings


def test_a_sound_repository(source: Source) -> None:
    index = source.manifest(APP, index_document(IMAGE), "all")
    found, findings = read(source)
    assert [manifest.digest for manifest in found.manifests] == [IMAGE_DIGEST, index]
    assert found.tags == {"v1": IMAGE_DIGEST, "all": index}
    assert findings == []


def test_the_inner_directory_may_be_named(source: Source) -> None:
    with RegistryTree(source.root) as tree:
        assert tree.repository_names(list[Finding]().append) == [APP]


def test_what_is_known_is_not_read(source: Source) -> None:
    source.blob_file(IMAGE_DIGEST).unlink()
    found, findings = read(source, known=frozenset({IMAGE_DIGEST}))
    assert (found.manifests, found.known) == ((), {IMAGE_DIGEST})
    assert found.tags == {"v1": IMAGE_DIGEST}
    assert findings == []


def test_names_are_nested(source: Source) -> None:
    for name in ("team/app/deeper/one", "plain", "team/zeta"):
        source.image(name)
    write(source.root / "repositories" / "team" / "_uploads" / "x" / "_manifests" / "y", b"")
    write(source.root / "repositories" / "file", b"")
    (source.root / "repositories" / "_manifests").mkdir()
    assert names(source) == (["plain", APP, "team/app/deeper/one", "team/zeta"], [])


@pytest.mark.parametrize("missing", ["repositories", "blobs", ""])
def test_other_directories_are_refused(source: Source, missing: str) -> None:
    shutil.rmtree(source.root / missing)
    with pytest.raises(SourceInvalid):
        RegistryTree(source.path)


def test_a_deleted_manifest_leaves_an_empty_folder_and_dangling_tags(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).unlink()
    found, findings = read(source)
    assert (found.manifests, found.tags) == ((), {})
    assert [finding.where for finding in findings] == [f"{APP}:v1"]


def broken_revision(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).write_bytes(b"\x00garbage")


def other_revision(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).write_text(str(Digest.of(b"other")))


def endless_link(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).write_bytes(b"a" * 2_000)


def folder_instead_of_a_link(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).unlink()
    source.revision(APP, IMAGE_DIGEST).mkdir()


def pipe_instead_of_a_link(source: Source) -> None:
    source.revision(APP, IMAGE_DIGEST).unlink()
    os.mkfifo(source.revision(APP, IMAGE_DIGEST))


def symbolic_link(source: Source) -> None:
    elsewhere = source.path / "elsewhere"
    elsewhere.write_text(str(IMAGE_DIGEST))
    source.revision(APP, IMAGE_DIGEST).unlink()
    source.revision(APP, IMAGE_DIGEST).symlink_to(elsewhere)


def changed_manifest(source: Source) -> None:
    source.blob_file(IMAGE_DIGEST).write_bytes(IMAGE + b" ")


def large_manifest(source: Source) -> None:
    os.truncate(source.blob_file(IMAGE_DIGEST), 1 << 40)


def missing_manifest(source: Source) -> None:
    source.blob_file(IMAGE_DIGEST).unlink()


def missing_layer(source: Source) -> None:
    source.blob_file(Digest.of(LAYER)).unlink()


def layer_of_another_size(source: Source) -> None:
    os.truncate(source.blob_file(Digest.of(LAYER)), 2)


def symbolic_blob(source: Source) -> None:
    layer = source.blob_file(Digest.of(LAYER))
    layer.rename(source.path / "layer")
    layer.symlink_to(source.path / "layer")


def symbolic_folder_of_a_blob(source: Source) -> None:
    folder = source.blob_file(Digest.of(LAYER)).parent
    folder.rename(source.path / "layer")
    folder.symlink_to(source.path / "layer")


@pytest.mark.parametrize(
    "harm",
    [
        broken_revision,
        other_revision,
        endless_link,
        folder_instead_of_a_link,
        pipe_instead_of_a_link,
        symbolic_link,
        changed_manifest,
        large_manifest,
        missing_manifest,
        missing_layer,
        layer_of_another_size,
        symbolic_blob,
        symbolic_folder_of_a_blob,
    ],
)
def test_a_broken_manifest_is_reported_with_its_tag(
    source: Source, harm: Callable[[Source], None]
) -> None:
    sound = source.image(APP, "sound", layer=b"another layer")
    harm(source)
    found, findings = read(source)
    assert [manifest.digest for manifest in found.manifests] == [sound]
    assert found.tags == {"sound": sound}
    manifest, tag = findings
    assert IMAGE_DIGEST.hex in manifest.where
    assert tag == Finding(f"{APP}:v1", f"The tag leads to {IMAGE_DIGEST}, which is not taken over.")


def test_every_missing_blob_is_named(source: Source) -> None:
    for content in (CONFIG, LAYER):
        source.blob_file(Digest.of(content)).unlink()
    _, findings = read(source)
    reasons = " ".join(finding.reason for finding in findings)
    assert all(str(Digest.of(content)) in reasons for content in (CONFIG, LAYER))


def test_manifests_of_the_old_form_are_left_out_with_the_reason(source: Source) -> None:
    source.manifest(APP, schema1(), "old")
    found, findings = read(source)
    assert list(found.tags) == ["v1"]
    assert "schema 1" in findings[0].reason


def test_an_index_is_taken_over_without_what_is_missing(source: Source) -> None:
    absent = image_document(b"absent")
    index = source.manifest(APP, index_document(IMAGE, absent), "all")
    found, findings = read(source)
    assert found.tags["all"] == index
    assert findings == [
        Finding(
            f"{APP}@{index}",
            f"The index is taken over without its manifest {Digest.of(absent)}.",
        )
    ]


@pytest.mark.parametrize("tag", ["-bad", "a" * 129, "spa ce"])
def test_tags_with_invalid_names(source: Source, tag: str) -> None:
    source.tag(APP, tag, IMAGE_DIGEST)
    found, findings = read(source)
    assert list(found.tags) == ["v1"]
    assert findings == [Finding(f"{APP}:{tag}", "The name of the tag is not valid.")]


def test_a_tag_with_garbage(source: Source) -> None:
    source.tag(APP, "v1", IMAGE_DIGEST).write_bytes(b"\xff")
    found, findings = read(source)
    assert found.tags == {}
    assert findings == [Finding(f"{APP}:v1", "The link file does not hold a digest.")]


def test_symbolic_folders_and_names_that_are_no_text_are_not_entered(source: Source) -> None:
    outside = Source(source.path / "outside")
    outside.image("secret")
    (source.root / "repositories" / "leak").symlink_to(outside.root / "repositories" / "secret")
    (source.root / "repositories" / "a\x1b[31m").mkdir()
    os.mkdir(os.fsencode(source.root / "repositories") + b"/\xff\xfe")
    found, findings = names(source)
    assert found == [APP]
    assert sorted(finding.where for finding in findings) == [
        "repositories",
        "repositories",
        "repositories/leak",
    ]


def test_folders_that_are_nested_without_end(source: Source) -> None:
    folder = source.root / "repositories"
    for _ in range(140):
        folder /= "d"
        folder.mkdir()
    found, findings = names(source)
    assert found == [APP]
    assert [finding.reason for finding in findings] == ["The folders are nested too deep."]


def test_a_blob_that_is_not_there(source: Source) -> None:
    with RegistryTree(source.path) as tree, pytest.raises(SourceFault):
        tree.blob_bytes(Digest.of(b"absent"))
