"""Directories as a reference registry leaves them, written file by file."""

import json
from pathlib import Path
from typing import Any

from core.oci.digest import Digest
from tests.factories.artifacts import image_document

CONFIG, LAYER = b"{}", b"layer"
IMAGE = image_document(CONFIG, [LAYER])


class Source:
    """A directory that a test fills."""

    def __init__(self, path: Path) -> None:
        """Make the two folders that every registry has."""
        self.path = path
        self.root = path / "docker" / "registry" / "v2"
        (self.root / "repositories").mkdir(parents=True)
        (self.root / "blobs").mkdir()

    def blob_file(self, digest: Digest) -> Path:
        """Return where the bytes of a digest lie."""
        return self.root / "blobs" / digest.algorithm / digest.hex[:2] / digest.hex / "data"

    def blob(self, content: bytes) -> Digest:
        """Store content."""
        digest = Digest.of(content)
        write(self.blob_file(digest), content)
        return digest

    def manifests(self, repository: str) -> Path:
        """Return the folder of what a repository has."""
        return self.root / "repositories" / repository / "_manifests"

    def revision(self, repository: str, digest: Digest) -> Path:
        """Return the link file of a manifest of a repository."""
        folder = self.manifests(repository) / "revisions" / digest.algorithm / digest.hex
        return folder / "link"

    def tag(self, repository: str, tag: str, digest: Digest) -> Path:
        """Let a tag lead to a manifest; return its link file."""
        link = self.manifests(repository) / "tags" / tag / "current" / "link"
        write(link, str(digest).encode())
        return link

    def manifest(self, repository: str, payload: bytes, *tags: str) -> Digest:
        """Store a manifest under its tags, without what it names."""
        digest = self.blob(payload)
        write(self.revision(repository, digest), str(digest).encode())
        for tag in tags:
            self.tag(repository, tag, digest)
        return digest

    def image(self, repository: str, *tags: str, layer: bytes = LAYER) -> Digest:
        """Store an image with its content."""
        self.blob(CONFIG)
        self.blob(layer)
        return self.manifest(repository, image_document(CONFIG, [layer]), *tags)


def write(path: Path, content: bytes) -> None:
    """Write a file, with the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def schema1() -> bytes:
    """Return a manifest of the form that was given up."""
    document: dict[str, Any] = {"schemaVersion": 1, "name": "app", "tag": "old", "fsLayers": []}
    return json.dumps(document).encode()
