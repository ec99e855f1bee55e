"""Descriptors are read strictly and written back as the specification lays them out."""

import base64

import pytest

from core.oci.descriptor import (
    Descriptor,
    parse_annotations,
    parse_descriptor,
    parse_media_type,
)
from core.oci.digest import Digest
from core.oci.errors import ManifestInvalid

pytestmark = pytest.mark.pure

CONTENT = b"content of a layer"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def valid(**changes: object) -> dict[str, object]:
    """Return the JSON of a valid descriptor of CONTENT with some members changed."""
    return {
        "mediaType": LAYER,
        "digest": str(Digest.of(CONTENT)),
        "size": len(CONTENT),
        **changes,
    }


def encoded(content: bytes) -> str:
    """Return content as the ``data`` member holds it."""
    return base64.b64encode(content).decode()


def test_required_members_suffice() -> None:
    assert parse_descriptor(valid(), "config") == Descriptor(
        media_type=LAYER, digest=Digest.of(CONTENT), size=len(CONTENT)
    )


def test_every_member_is_read() -> None:
    platform = {"architecture": "arm64", "os": "linux", "variant": "v8", "os.features": ["x"]}
    descriptor = parse_descriptor(
        valid(
            annotations={"org.example.a": "1"},
            artifactType="application/vnd.example",
            platform=platform,
            urls=["https://store.example.com/layer"],
            data=encoded(CONTENT),
        ),
        "layers[0]",
    )

    assert descriptor.annotations == {"org.example.a": "1"}
    assert descriptor.artifact_type == "application/vnd.example"
    assert descriptor.platform == platform
    assert descriptor.urls == ("https://store.example.com/layer",)
    assert descriptor.has_data


def test_null_and_unknown_members_count_as_absent() -> None:
    optional = ("annotations", "artifactType", "platform", "urls", "data")
    value = valid(**dict.fromkeys(optional), newUnspecifiedField={"size": 1.5})

    assert parse_descriptor(value, "config") == parse_descriptor(valid(), "config")


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1])
def test_sizes_in_bounds(size: int) -> None:
    assert parse_descriptor(valid(size=size), "config").size == size


@pytest.mark.parametrize(
    "size", [None, -1, 2**63, 10**30, 1.0, 1e3, float("inf"), True, False, "18", [], {}]
)
def test_other_sizes_are_refused(size: object) -> None:
    with pytest.raises(ManifestInvalid, match=r"config\.size must be an integer"):
        parse_descriptor(valid(size=size), "config")


@pytest.mark.parametrize("name", ["mediaType", "digest", "size"])
def test_required_members_may_not_be_missing(name: str) -> None:
    value = valid()
    del value[name]

    with pytest.raises(ManifestInvalid, match=rf"subject\.{name}"):
        parse_descriptor(value, "subject")


@pytest.mark.parametrize("value", [None, [], "text", 1, True])
def test_other_values_are_no_descriptors(value: object) -> None:
    with pytest.raises(ManifestInvalid, match="config must be a descriptor object"):
        parse_descriptor(value, "config")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mediaType": 1}, "mediaType must be a media type"),
        ({"mediaType": ""}, "mediaType is missing"),
        ({"mediaType": None}, "mediaType is missing"),
        ({"mediaType": "application/é"}, "mediaType must be a media type"),
        ({"mediaType": "application/x\r\nEvil: 1"}, "mediaType must be a media type"),
        ({"mediaType": "a/" + "b" * 254}, "mediaType is longer than 255"),
        ({"digest": 1}, "digest must be a string"),
        ({"digest": "sha256:bad"}, "digest is not valid"),
        ({"digest": "md5:" + "a" * 32}, "supported are sha256, sha512"),
        ({"digest": str(Digest.of(b"")).upper()}, "digest is not valid"),
        ({"artifactType": 1}, "artifactType must be a media type"),
        ({"urls": "https://example.com"}, "urls must be a list"),
        ({"urls": [1]}, "urls must be a list"),
        ({"annotations": []}, "annotations must be an object"),
        ({"annotations": {"a": 1}}, "annotations must hold strings, but 'a'"),
        ({"annotations": {"a": None}}, "annotations must hold strings, but 'a'"),
        ({"platform": "linux"}, "platform must be an object"),
        ({"platform": {"os": 1}}, "platform.os must be a string"),
        ({"platform": {"os.features": "x"}}, "platform.os.features must be a list"),
        ({"platform": {"OS": "linux"}}, "platform has the member 'OS'"),
        ({"Size": 1}, "x has the member 'Size'"),
        ({"MediaType": "a/b"}, "x has the member 'MediaType'"),
        ({"DIGEST": "a/b"}, "x has the member 'DIGEST'"),
        ({"Data": ""}, "x has the member 'Data'"),
    ],
)
def test_malformed_members_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        parse_descriptor(valid(**changes), "x")


def test_platform_members_may_be_null_and_unknown() -> None:
    platform = {"os": None, "features": None, "org.example": {"deep": [1]}}

    assert parse_descriptor(valid(platform=platform), "x").platform == platform


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_embedded_data_of_either_algorithm(algorithm: str) -> None:
    value = valid(digest=str(Digest.of(CONTENT, algorithm)), data=encoded(CONTENT))

    assert parse_descriptor(value, "config").has_data


def test_embedded_empty_content() -> None:
    value = valid(digest=str(Digest.of(b"")), size=0, data="")

    assert parse_descriptor(value, "config").has_data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (1, "data must be a base64 string"),
        ("***", "data is not valid base64"),
        ("YQ", "data is not valid base64"),
        ("é", "data is not valid base64"),
        ("", "data has 0 bytes, but size says 18"),
        (encoded(CONTENT + b"!"), "data has 19 bytes, but size says 18"),
        (encoded(CONTENT[:-1] + b"!"), "data does not have the digest sha256:"),
    ],
)
def test_embedded_data_that_does_not_match(data: object, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        parse_descriptor(valid(data=data), "config")


def test_written_form_has_no_empty_members() -> None:
    assert parse_descriptor(valid(), "config").to_json() == valid()


def test_written_form_has_every_member_but_data() -> None:
    value = valid(
        urls=["https://store.example.com/layer"],
        annotations={"a": "b"},
        artifactType="application/vnd.example",
        platform={"os": "linux"},
    )

    assert parse_descriptor({**value, "data": encoded(CONTENT)}, "config").to_json() == value


def test_descriptors_are_hashable_whatever_they_carry() -> None:
    value = valid(annotations={"a": "b"}, platform={"os": "linux"})

    assert len({parse_descriptor(value, "x"), parse_descriptor(value, "y")}) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        (LAYER, LAYER),
        ("sbom", "sbom"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("a/" + "b" * 253, "a/" + "b" * 253),
    ],
)
def test_media_types(value: object, expected: str | None) -> None:
    assert parse_media_type(value, "artifactType") == expected


def test_annotations_are_kept_exactly() -> None:
    annotations = {"": "", "a": "größer", "b": "x" * 100_000}

    assert parse_annotations(annotations, "annotations") == annotations
    assert parse_annotations(None, "annotations") == {}
