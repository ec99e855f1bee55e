"""Pure decisions: where in an artifact an addition is."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from core.additions.errors import AdditionUnsupported
from core.oci.media_types import ADDITIONS, ArtifactKind

MODEL_PATH: Final = "org.cncf.model.filepath"
_MODEL_PREFIX: Final = "application/vnd.cncf.model."
_TAR: Final = (".v1.tar", ".v1.tar+gzip")

READMES: Final = ("README.md", "readme.md", "README", "README.txt")
LICENSES: Final = ("LICENSE", "LICENSE.md", "LICENSE.txt", "license")


class Layer(NamedTuple):
    """A layer as the manifest describes it."""

    media_type: str
    size_bytes: int
    annotations: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path of the file that a layer of a model holds; empty when it does not say."""
        path = self.annotations.get(MODEL_PATH)
        return path.removeprefix("./") if isinstance(path, str) else ""

    @property
    def is_archive(self) -> bool:
        """Whether the layer is a tar archive, compressed or not, that can be looked into."""
        return self.media_type.endswith(_TAR)

    @property
    def is_compressed(self) -> bool:
        """Whether it is compressed with gzip."""
        return self.media_type.endswith("+gzip")

    @property
    def is_raw(self) -> bool:
        """Whether the layer is the file itself."""
        return self.media_type.endswith(".v1.raw")


def ensure_supported(kind: ArtifactKind, addition: str) -> None:
    """Refuse what artifacts of the kind never have. Raises ``AdditionUnsupported``."""
    supported = ADDITIONS.get(kind, ())
    if addition not in supported:
        listed = ", ".join(supported) or "no additions"
        raise AdditionUnsupported(f"Artifacts of type {kind} have {listed}, not {addition[:64]!r}.")


def document_layer(layers: Iterable[Layer], names: Iterable[str]) -> int | None:
    """Return the place of the layer of a model that holds the first of the files there is."""
    places = {layer.path: place for place, layer in reversed(list(enumerate(layers)))}
    return next((places[name] for name in names if name in places), None)


def model_files(layers: Iterable[Layer]) -> list[dict[str, object]]:
    """Return the files of a model as a tree, each directory before what is in it."""
    tree: dict[str, object] = {}
    for layer in layers:
        parts = [part for part in layer.path.split("/") if part not in ("", ".", "..")]
        if not layer.media_type.startswith(_MODEL_PREFIX) or not 0 < len(parts) <= 32:
            continue
        folder = tree
        for part in parts[:-1]:
            below = folder.setdefault(part, {})
            if not isinstance(below, dict):
                break
            folder = below
        else:
            folder.setdefault(parts[-1], layer.size_bytes)
    return _listed(tree)


def _listed(folder: Mapping[str, object]) -> list[dict[str, object]]:
    return [
        {"name": name, "type": "directory", "children": _listed(found)}
        if isinstance(found, dict)
        else {"name": name, "type": "file", "size": found}
        for name, found in sorted(folder.items())
    ]
