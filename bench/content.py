"""Blobs and images that no registry has seen before, made without hashing everything anew."""

import hashlib
import json
import os
from dataclasses import dataclass

from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, OCI_LAYER

_TAIL_BYTES = 16


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one blob: a part that others share, and an end of its own."""

    shared: bytes
    tail: bytes
    digest: str

    @property
    def size_bytes(self) -> int:
        """Length of the whole blob."""
        return len(self.shared) + len(self.tail)

    @property
    def whole(self) -> bytes:
        """The bytes as one piece."""
        return self.shared + self.tail


class ContentMaker:
    """Makes blobs of one size that differ in their last bytes.

    The shared beginning is hashed once. A registry stores each blob by itself nevertheless,
    because a digest is all it can recognise a blob by.
    """

    def __init__(self, size_bytes: int) -> None:
        self._shared = os.urandom(size_bytes - _TAIL_BYTES)
        self._hash = hashlib.sha256(self._shared)

    def make(self) -> Content:
        """Return the next blob."""
        tail = os.urandom(_TAIL_BYTES)
        running = self._hash.copy()
        running.update(tail)
        return Content(self._shared, tail, f"sha256:{running.hexdigest()}")


@dataclass(frozen=True, slots=True)
class Image:
    """A layer, a config and the manifest that names both."""

    layer: Content
    config: Content
    manifest: bytes

    @property
    def digest(self) -> str:
        """Digest of the manifest."""
        return f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"


def make_image(layers: ContentMaker) -> Image:
    """Return an image with a new layer; its config and manifest are about 1 KB each."""
    layer = layers.make()
    config = _whole(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": [f"BENCH={os.urandom(400).hex()}"]},
                "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
            }
        ).encode()
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": _descriptor(config, OCI_IMAGE_CONFIG),
        "layers": [_descriptor(layer, OCI_LAYER)],
        "annotations": {"org.example.bench": os.urandom(250).hex()},
    }
    return Image(layer, config, json.dumps(manifest).encode())


def _whole(data: bytes) -> Content:
    return Content(data, b"", f"sha256:{hashlib.sha256(data).hexdigest()}")


def _descriptor(content: Content, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": content.digest, "size": content.size_bytes}
