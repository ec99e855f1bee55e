"""Small images made by the tests themselves, as an OCI layout, a `dir:` folder or an archive.

Layers are tar archives with one file of random bytes, so that no two images share a blob
unless a test wants them to.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

_ZSTD_BLOCK_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: the archive, and what is pushed of it."""

    archive: bytes
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Digest of what is pushed."""
        return sha256(self.content)


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one platform, complete in memory."""

    layers: tuple[Layer, ...]
    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """Digest of the OCI manifest."""
        return sha256(self.manifest)

    @property
    def layer_digests(self) -> list[str]:
        """Digests of the layers, in order."""
        return [layer.digest for layer in self.layers]


def sha256(content: bytes) -> str:
    """Return the digest of some bytes as manifests write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_layer(size_bytes: int = 4_096, *, compression: str = "gzip", name: str = "data") -> Layer:
    """Return a layer holding one file of that many random bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size_bytes
        entry.mode = 0o644
        tar.addfile(entry, io.BytesIO(os.urandom(size_bytes)))
    content = archive.getvalue()
    if compression == "zstd":
        return Layer(content, zstd_frame(content), f"{OCI_LAYER}+zstd")
    return Layer(content, gzip.compress(content, 1, mtime=0), f"{OCI_LAYER}+gzip")


def zstd_frame(content: bytes) -> bytes:
    """Wrap bytes as a Zstandard frame of raw blocks (RFC 8878, section 3.1.1)."""
    # Single segment, content size in four bytes.
    frame = bytearray(b"\x28\xb5\x2f\xfd\xa0" + len(content).to_bytes(4, "little"))
    starts = range(0, len(content), _ZSTD_BLOCK_BYTES)
    for start in starts:
        block = content[start : start + _ZSTD_BLOCK_BYTES]
        header = len(block) << 3 | (start == starts[-1])
        frame += header.to_bytes(3, "little") + block
    return bytes(frame)


def make_image(*, layers: Sequence[Layer] | None = None, architecture: str = "amd64") -> Image:
    """Return an image of these layers; of one small random layer when none are given."""
    layers = tuple(layers) if layers is not None else (make_layer(),)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(each.archive) for each in layers]},
            "history": [{"created_by": "test"} for _ in layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": [descriptor(layer.media_type, layer.content) for layer in layers],
        }
    )
    return Image(layers, config, manifest)


def descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    """Describe bytes as manifests do."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}


def make_index(images: dict[str, Image]) -> bytes:
    """Return an index of the images by architecture."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                descriptor(OCI_MANIFEST, image.manifest)
                | {"platform": {"os": "linux", "architecture": architecture}}
                for architecture, image in images.items()
            ],
        }
    )


class Layout:
    """An OCI image layout on disk; skopeo, podman and buildah read it as ``oci:<path>:<tag>``."""

    def __init__(self, directory: Path) -> None:
        """Make an empty layout."""
        self.directory = directory
        self._entries: list[dict[str, Any]] = []
        (directory / "blobs" / "sha256").mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def add_image(self, tag: str, image: Image) -> str:
        """Store an image under a tag; return how the clients name it."""
        self._store(image)
        return self._tag(tag, descriptor(OCI_MANIFEST, image.manifest))

    def add_index(self, tag: str, images: dict[str, Image]) -> tuple[str, str]:
        """Store images by architecture under one tag; return name and digest of the index."""
        for image in images.values():
            self._store(image)
        index = make_index(images)
        self.add_blob(index)
        return self._tag(tag, descriptor(OCI_INDEX, index)), sha256(index)

    def add_blob(self, content: bytes) -> None:
        """Store bytes under their digest."""
        self.blob_path(sha256(content)).write_bytes(content)

    def blob_path(self, digest: str) -> Path:
        """Return where the bytes with a digest lie."""
        return self.directory / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _store(self, image: Image) -> None:
        for content in (image.config, image.manifest, *(each.content for each in image.layers)):
            self.add_blob(content)

    def _tag(self, tag: str, entry: dict[str, Any]) -> str:
        named = entry | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        self._entries.append(named)
        index = {"schemaVersion": 2, "manifests": self._entries}
        (self.directory / "index.json").write_bytes(_json(index))
        return f"oci:{self.directory}:{tag}"


def write_docker_archive(path: Path, image: Image, name: str) -> None:
    """Write what `docker load` reads, with the image under a name."""
    layer_names = [f"{number}/layer.tar" for number in range(len(image.layers))]
    files = {
        "config.json": image.config,
        "manifest.json": _json(
            [{"Config": "config.json", "RepoTags": [name], "Layers": layer_names}]
        ),
    }
    files |= {
        layer_name: layer.archive
        for layer_name, layer in zip(layer_names, image.layers, strict=True)
    }
    with tarfile.open(path, "w") as tar:
        for file_name, content in files.items():
            entry = tarfile.TarInfo(file_name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
