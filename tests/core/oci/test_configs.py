"""What configurations say."""

import json

import pytest

from core.oci.configs import (
    MAXIMUM_ATTRIBUTES_BYTES,
    build_history,
    chart_dependencies,
    chart_name,
    extra_attributes,
    says_nothing,
)
from core.oci.media_types import (
    HELM_CHART_CONFIG,
    OCI_EMPTY,
    OCI_IMAGE_CONFIG,
    WASM_CONFIG,
    ArtifactKind,
)

pytestmark = pytest.mark.pure

LARGE = {str(number): "x" * 100 for number in range(MAXIMUM_ATTRIBUTES_BYTES // 100)}


@pytest.mark.parametrize(
    ("kind", "media_type", "document", "expected"),
    [
        (
            ArtifactKind.IMAGE,
            OCI_IMAGE_CONFIG,
            {"os": "linux", "architecture": 7, "author": "", "config": [], "rootfs": {}},
            {"os": "linux"},
        ),
        (ArtifactKind.IMAGE, OCI_IMAGE_CONFIG, {"os": "linux", "config": LARGE}, {"os": "linux"}),
        (ArtifactKind.IMAGE, OCI_IMAGE_CONFIG, {"os": "x" * 70_000}, {}),
        (ArtifactKind.WASM, OCI_IMAGE_CONFIG, {"os": "wasip1", "x": 1}, {"os": "wasip1"}),
        (ArtifactKind.WASM, WASM_CONFIG, {"x": 1}, {"x": 1}),
        (
            ArtifactKind.CHART,
            HELM_CHART_CONFIG,
            {"name": "app", "annotations": LARGE},
            {"name": "app"},
        ),
        (ArtifactKind.UNKNOWN, "application/x-odd", LARGE | {"more": "x"}, {}),
        (ArtifactKind.UNKNOWN, "application/x-odd", ["no object"], {}),
    ],
)
def test_attributes(
    kind: ArtifactKind, media_type: str, document: object, expected: object
) -> None:
    assert extra_attributes(kind, media_type, json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 2}', b'{"name": "\\u0000"}', b"null"]
)
def test_what_cannot_be_read_says_nothing(payload: bytes) -> None:
    assert extra_attributes(ArtifactKind.IMAGE, OCI_IMAGE_CONFIG, payload) == {}
    assert build_history(payload) == []
    assert chart_dependencies(payload) == []
    assert chart_name(payload) is None


def test_odd_members_are_left_out() -> None:
    payload = (
        b'{"name": 7, "history": {"a": 1}, "dependencies": ["x", {"name": 1, "version": "2"}]}'
    )
    assert build_history(payload) == []
    assert chart_dependencies(payload) == [{"version": "2"}]
    assert chart_name(payload) is None
    assert says_nothing(None)
    assert says_nothing(OCI_EMPTY)
    assert not says_nothing(OCI_IMAGE_CONFIG)
