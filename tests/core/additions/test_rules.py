"""Where additions are."""

import pytest

from core.additions.errors import AdditionUnsupported
from core.additions.rules import MODEL_PATH, Layer, document_layer, ensure_supported, model_files
from core.oci.media_types import ADDITIONS, ArtifactKind

pytestmark = pytest.mark.pure

DOC = "application/vnd.cncf.model.doc.v1.tar"


def layer(path: str, media_type: str = DOC, size: int = 1) -> Layer:
    return Layer(media_type, size, {MODEL_PATH: path} if path else {})


def test_each_kind_has_its_own_additions() -> None:
    every = {name for names in ADDITIONS.values() for name in names}
    for kind in ArtifactKind:
        for name in {*every, "icon"}:
            if name in ADDITIONS.get(kind, ()):
                ensure_supported(kind, name)
                continue
            with pytest.raises(AdditionUnsupported, match=kind):
                ensure_supported(kind, name)


def test_the_first_name_that_a_layer_has_decides() -> None:
    layers = [layer(""), layer("readme.md"), layer("./README.md")]
    assert document_layer(layers, ("README.md", "readme.md")) == 2
    assert document_layer(layers, ("LICENSE",)) is None


def test_the_files_of_a_model_are_a_tree() -> None:
    layers = [
        layer("b/c/weights.bin", "application/vnd.cncf.model.weight.v1.raw", 7),
        layer("a.md", size=2),
        layer("../../etc/x", size=3),
        layer("a.md/below", size=4),
        layer("", size=5),
        layer("other", "application/octet-stream"),
        layer("/".join("x" * 40)),
    ]
    assert model_files(layers) == [
        {"name": "a.md", "type": "file", "size": 2},
        {
            "name": "b",
            "type": "directory",
            "children": [
                {
                    "name": "c",
                    "type": "directory",
                    "children": [{"name": "weights.bin", "type": "file", "size": 7}],
                }
            ],
        },
        {
            "name": "etc",
            "type": "directory",
            "children": [{"name": "x", "type": "file", "size": 3}],
        },
    ]
