"""Manifests of every accepted shape are read; everything ambiguous or hostile is refused."""

import contextlib
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.common.errors import ErrorKind
from core.oci import media_types
from core.oci.digest import Digest
from core.oci.errors import ManifestInvalid, ManifestTooLarge
from core.oci.manifest import (
    MAX_MANIFEST_BYTES,
    MAX_REFERENCES,
    ManifestKind,
    ParsedManifest,
    ReferenceRole,
    parse_manifest,
)
from core.oci.media_types import (
    DOCKER_IMAGE_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_IMAGE_CONFIG,
    OCI_IMAGE_INDEX,
    OCI_IMAGE_MANIFEST,
    OCI_LAYER_GZIP,
    ArtifactKind,
)

pytestmark = pytest.mark.pure

EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def descriptor(media_type: str, content: bytes = b"{}", **members: object) -> dict[str, object]:
    """Return the JSON of a descriptor of the content."""
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(content)),
        "size": len(content),
        **members,
    }


def image(**changes: object) -> dict[str, object]:
    """Return an OCI image manifest with one layer and some members changed."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": descriptor(OCI_IMAGE_CONFIG),
        "layers": [descriptor(OCI_LAYER_GZIP, b"layer")],
        **changes,
    }


def index(**changes: object) -> dict[str, object]:
    """Return an OCI image index with one child and some members changed."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_INDEX,
        "manifests": [descriptor(OCI_IMAGE_MANIFEST, b"child")],
        **changes,
    }


def without(document: dict[str, object], *names: str) -> dict[str, object]:
    """Return the document without some members."""
    return {name: value for name, value in document.items() if name not in names}


def parse(document: object, content_type: str | None = None) -> ParsedManifest:
    """Parse a document given as a JSON value."""
    return parse_manifest(json.dumps(document).encode(), content_type)


def roles(manifest: ParsedManifest) -> list[str]:
    """Return the roles of the references in order."""
    return [reference.role.value for reference in manifest.references]


def test_image_manifest() -> None:
    manifest = parse(image(annotations={"org.example.a": "1"}), OCI_IMAGE_MANIFEST)

    assert manifest.kind is ManifestKind.IMAGE
    assert manifest.is_image
    assert not manifest.is_index
    assert manifest.media_type == OCI_IMAGE_MANIFEST
    assert manifest.config_media_type == OCI_IMAGE_CONFIG
    assert manifest.artifact_type is None
    assert manifest.artifact_kind is ArtifactKind.IMAGE
    assert manifest.subject is None
    assert manifest.annotations == {"org.example.a": "1"}
    assert roles(manifest) == ["config", "layer"]


def test_references_repeat_what_descriptors_say() -> None:
    config, layer = parse(image()).references

    assert str(config.digest) == EMPTY_DIGEST
    assert (config.size, config.media_type) == (2, OCI_IMAGE_CONFIG)
    assert layer.digest == Digest.of(b"layer") == layer.descriptor.digest
    assert (layer.size, layer.media_type) == (5, OCI_LAYER_GZIP)


def test_index() -> None:
    platform = {"architecture": "amd64", "os": "linux"}
    child = descriptor(OCI_IMAGE_MANIFEST, b"child", platform=platform)
    manifest = parse(index(manifests=[child]), OCI_IMAGE_INDEX)

    assert manifest.kind is ManifestKind.INDEX
    assert manifest.is_index
    assert not manifest.is_image
    assert manifest.config_media_type is None
    assert roles(manifest) == ["child"]
    assert manifest.references[0].descriptor.platform == platform


def test_index_may_be_empty_nested_and_repeat_a_child() -> None:
    child = descriptor(OCI_IMAGE_INDEX, b"child")

    assert parse(index(manifests=[])).references == ()
    assert parse(index(manifests=None)).references == ()
    assert roles(parse(index(manifests=[child, child]))) == ["child", "child"]


@pytest.mark.parametrize("layers", [[], None])
def test_image_may_have_no_layers(layers: object) -> None:
    assert roles(parse(image(layers=layers))) == ["config"]
    assert roles(parse(without(image(), "layers"))) == ["config"]


def test_artifact_whose_config_and_layer_are_the_same_empty_object() -> None:
    empty = descriptor(media_types.OCI_EMPTY, data="e30=")
    manifest = parse(
        image(artifactType="application/vnd.example.thing", config=empty, layers=[empty])
    )

    assert manifest.artifact_type == "application/vnd.example.thing"
    assert manifest.config_media_type == media_types.OCI_EMPTY
    assert manifest.artifact_kind is ArtifactKind.UNKNOWN
    assert [str(reference.digest) for reference in manifest.references] == [EMPTY_DIGEST] * 2
    assert all(reference.descriptor.has_data for reference in manifest.references)


def test_empty_artifact_type_counts_as_absent() -> None:
    assert parse(image(artifactType="")).artifact_type is None
    assert parse(index(artifactType=None)).artifact_type is None
    assert parse(index(artifactType="a/b")).artifact_type == "a/b"


@pytest.mark.parametrize("media_type", sorted(media_types.FOREIGN_LAYER_TYPES))
def test_foreign_layers_with_a_url_need_not_be_stored(media_type: str) -> None:
    layers = [
        descriptor(media_type, b"elsewhere", urls=["https://store.example.com/layer"]),
        descriptor(media_type, b"no url to fetch it from"),
        descriptor(OCI_LAYER_GZIP, b"here", urls=["https://store.example.com/layer"]),
    ]

    assert roles(parse(image(layers=layers))) == ["config", "foreign", "layer", "layer"]


def test_subject_is_read_whether_it_exists_or_not() -> None:
    subject = descriptor(OCI_IMAGE_MANIFEST, b"pushed later")
    for document in (image(subject=subject), index(subject=subject)):
        parsed = parse(document).subject
        assert parsed is not None
        assert parsed.digest == Digest.of(b"pushed later")
    assert parse(image(subject=None)).subject is None


def test_digest_algorithms_may_be_mixed() -> None:
    layer = descriptor(OCI_LAYER_GZIP, digest=str(Digest.of(b"layer", "sha512")))
    manifest = parse(image(layers=[layer]))

    algorithms = [reference.digest.algorithm for reference in manifest.references]
    assert algorithms == ["sha256", "sha512"]


@pytest.mark.parametrize("kind", [image, index])
def test_unknown_members_are_left_alone(kind: Callable[..., dict[str, object]]) -> None:
    manifest = parse(kind(**{"org.example": {"deep": [1.5, None, True]}}))

    assert manifest == parse(kind())


@pytest.mark.parametrize(
    ("document", "content_type", "expected"),
    [
        (image(), None, OCI_IMAGE_MANIFEST),
        (image(), "", OCI_IMAGE_MANIFEST),
        (image(), OCI_IMAGE_MANIFEST, OCI_IMAGE_MANIFEST),
        (image(), f"{OCI_IMAGE_MANIFEST}; charset=utf-8", OCI_IMAGE_MANIFEST),
        (image(), f" {OCI_IMAGE_MANIFEST} ;x=y;z", OCI_IMAGE_MANIFEST),
        (image(), OCI_IMAGE_MANIFEST.upper(), OCI_IMAGE_MANIFEST),
        (image(mediaType=DOCKER_IMAGE_MANIFEST), None, DOCKER_IMAGE_MANIFEST),
        (image(mediaType=None), DOCKER_IMAGE_MANIFEST, DOCKER_IMAGE_MANIFEST),
        (image(mediaType=""), OCI_IMAGE_MANIFEST, OCI_IMAGE_MANIFEST),
        (without(image(), "mediaType"), OCI_IMAGE_MANIFEST, OCI_IMAGE_MANIFEST),
        (without(image(), "mediaType"), None, OCI_IMAGE_MANIFEST),
        (without(image(), "mediaType"), ";charset=utf-8", OCI_IMAGE_MANIFEST),
        (without(image(), "mediaType", "layers"), None, OCI_IMAGE_MANIFEST),
        (index(), None, OCI_IMAGE_INDEX),
        (index(mediaType=DOCKER_MANIFEST_LIST), DOCKER_MANIFEST_LIST, DOCKER_MANIFEST_LIST),
        (without(index(), "mediaType"), DOCKER_MANIFEST_LIST, DOCKER_MANIFEST_LIST),
        (without(index(), "mediaType"), None, OCI_IMAGE_INDEX),
    ],
)
def test_media_type(document: object, content_type: str | None, expected: str) -> None:
    assert parse(document, content_type).media_type == expected


@pytest.mark.parametrize(
    ("document", "content_type", "message"),
    [
        (image(), OCI_IMAGE_INDEX, "Content-Type is"),
        (image(), DOCKER_IMAGE_MANIFEST, "Content-Type is"),
        (image(), "application/json", "Content-Type is"),
        (image(mediaType=OCI_IMAGE_MANIFEST.upper()), OCI_IMAGE_MANIFEST, "Content-Type is"),
        (image(mediaType=f"{OCI_IMAGE_MANIFEST}; a=b"), None, "not a supported manifest"),
        (without(image(), "mediaType"), "application/json", "not a supported manifest"),
        (image(mediaType="application/vnd.example+json"), None, "not a supported manifest"),
        (
            image(mediaType="application/vnd.oci.artifact.manifest.v1+json"),
            "application/vnd.oci.artifact.manifest.v1+json",
            "not a supported manifest",
        ),
        (image(mediaType=2), None, "mediaType must be a media type"),
        ({"schemaVersion": 2}, None, "no mediaType"),
        ({}, None, "no mediaType"),
        (without(image(), "mediaType"), "x" * 100_000, "not a supported manifest"),
    ],
)
def test_wrong_media_types_are_refused(
    document: object, content_type: str | None, message: str
) -> None:
    with pytest.raises(ManifestInvalid, match=message) as caught:
        parse(document, content_type)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"schemaVersion": 1, "name": "a/b", "fsLayers": [], "history": []}, None),
        ({"schemaVersion": 1}, None),
        ({"schemaVersion": 1}, media_types.DOCKER_SCHEMA1_MANIFEST),
        ({"schemaVersion": 1}, f"{media_types.DOCKER_SCHEMA1_SIGNED_MANIFEST}; charset=utf-8"),
        ({"schemaVersion": 2, "mediaType": media_types.DOCKER_SCHEMA1_MANIFEST}, None),
        (image(schemaVersion=1), OCI_IMAGE_MANIFEST),
        (image(fsLayers=[]), OCI_IMAGE_MANIFEST),
    ],
)
def test_schema1_is_refused_with_advice(document: object, content_type: str | None) -> None:
    with pytest.raises(ManifestInvalid, match="schema 1 are not supported"):
        parse(document, content_type)


@pytest.mark.parametrize("version", [None, 0, 3, 2.0, "2", True, [2], 10**30])
def test_schema_version_must_be_the_number_two(version: object) -> None:
    with pytest.raises(ManifestInvalid, match="schemaVersion must be"):
        parse(image(schemaVersion=version))


def test_schema_version_may_not_be_missing() -> None:
    with pytest.raises(ManifestInvalid, match="schemaVersion must be"):
        parse(without(index(), "schemaVersion"))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (image(manifests=[]), "must not have 'manifests'"),
        (image(manifests=None), "must not have 'manifests'"),
        (index(layers=[]), "must not have 'layers'"),
        (index(config=descriptor(OCI_IMAGE_CONFIG)), "must not have 'config'"),
        (without(image(manifests=[]), "mediaType"), "must not have 'config'"),
        (image(Layers=[]), "has the member 'Layers'"),
        (image(LAYERS=[]), "has the member 'LAYERS'"),
        (image(Manifests=[]), "has the member 'Manifests'"),
        (image(MediaType=OCI_IMAGE_INDEX), "has the member 'MediaType'"),
        (image(mediatype=OCI_IMAGE_INDEX), "has the member 'mediatype'"),
        ({**image(), "layer\u017f": []}, "has the member 'layer\u017f'"),
        (image(Subject=None), "has the member 'Subject'"),
        ({**image(), "\u017fubject": None}, "has the member '\u017fubject'"),
        (image(config=None), "config must be a descriptor"),
        (without(image(), "config"), "config must be a descriptor"),
        (image(config=[]), "config must be a descriptor"),
        (image(layers={}), "layers must be a list"),
        (image(layers=[None]), r"layers\[0\] must be a descriptor"),
        (image(layers=[descriptor(OCI_LAYER_GZIP), 1]), r"layers\[1\] must be a descriptor"),
        (index(manifests={}), "manifests must be a list"),
        (index(manifests=[[]]), r"manifests\[0\] must be a descriptor"),
        (without(index(), "manifests"), "manifests is missing"),
        (image(subject="sha256:bad"), "subject must be a descriptor"),
        (
            image(subject=descriptor(OCI_IMAGE_MANIFEST, digest="sha256:bad")),
            "subject.digest is not valid",
        ),
        (image(annotations={"a": 1}), "annotations must hold strings"),
        (image(artifactType=[]), "artifactType must be a media type"),
        (image(config=descriptor(OCI_IMAGE_CONFIG, size=2.0)), "config.size must be an integer"),
        (image(config=descriptor(OCI_IMAGE_CONFIG, data="W10=")), "config.data"),
    ],
)
def test_ambiguous_and_malformed_documents_are_refused(document: object, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        parse(document)


def test_duplicate_member_is_refused() -> None:
    payload = json.dumps(image()).encode()

    with pytest.raises(ManifestInvalid, match="repeats the member 'layers'"):
        parse_manifest(payload[:-1] + b',"layers":[]}', None)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"\xff", b"{", b'{"size":NaN}'])
def test_what_is_no_document_is_refused(payload: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(payload, OCI_IMAGE_MANIFEST)


def test_unusual_spelling_of_the_same_document_is_accepted() -> None:
    text = json.dumps(image(), indent="\t", sort_keys=True).replace("layers", "\\u006cayers")

    manifest = parse_manifest(b"\xef\xbb\xbf" + text.encode() + b"\r\n\n", None)

    assert manifest == parse(image())


def test_number_of_references_is_limited() -> None:
    child = descriptor(OCI_IMAGE_MANIFEST)
    layer = descriptor(OCI_LAYER_GZIP)

    assert len(parse(index(manifests=[child] * MAX_REFERENCES)).references) == MAX_REFERENCES
    assert len(parse(image(layers=[layer] * (MAX_REFERENCES - 1))).references) == MAX_REFERENCES
    with pytest.raises(ManifestInvalid, match="more than 10000 references"):
        parse(index(manifests=[child] * (MAX_REFERENCES + 1)))
    with pytest.raises(ManifestInvalid, match="more than 10000 references"):
        parse(image(layers=[layer] * MAX_REFERENCES))


def test_size_limit_is_exactly_four_mebibytes() -> None:
    payload = json.dumps(image()).encode()
    largest = payload + b" " * (MAX_MANIFEST_BYTES - len(payload))

    assert len(largest) == 4_194_304
    assert parse_manifest(largest, None) == parse(image())
    with pytest.raises(ManifestTooLarge) as caught:
        parse_manifest(largest + b" ", None)
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_large_annotations_are_accepted() -> None:
    annotations = {f"org.example.{number}": "x" * 100 for number in range(33_000)}

    assert parse(image(annotations=annotations)).annotations == annotations


def test_the_largest_hostile_manifests_take_bounded_time() -> None:
    long_name = "x" * 250
    documents = [
        image(layers=[descriptor(long_name, Data=1)] * 9_000),
        index(manifests=[descriptor("a/b", annotations={"a": ""}, urls=[])] * MAX_REFERENCES),
        image(**{f"Layers{number}": 0 for number in range(200_000)}),
        image(layers=[0] * 1_000_000),
    ]
    for document in documents:
        payload = json.dumps(document).encode()
        assert len(payload) <= MAX_MANIFEST_BYTES
        started = time.process_time()
        with contextlib.suppress(ManifestInvalid):
            parse_manifest(payload, None)
        assert time.process_time() - started < 5


def test_parsed_manifests_are_hashable() -> None:
    assert len({parse(image(annotations={"a": "b"})), parse(image(annotations={"a": "b"}))}) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "urls", "a"]), inner)
    ),
    max_leaves=8,
)
members = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations"]
)


@given(st.dictionaries(members, json_values), st.sampled_from([image, index]))
def test_any_change_to_a_manifest_is_read_or_refused(
    changes: dict[str, object], kind: Callable[..., dict[str, object]]
) -> None:
    try:
        manifest = parse(kind(**changes))
    except ManifestInvalid:
        return
    assert manifest.media_type in media_types.MANIFEST_TYPES
    assert all(reference.role in ReferenceRole for reference in manifest.references)
