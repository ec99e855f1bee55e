"""Content of every shape that the specification knows, each under either algorithm."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.clients.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)

ALGORITHMS = ("sha256", "sha512")
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
ARTIFACT_TYPE = "application/vnd.example.report"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

Document = dict[str, Any]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest as clients write it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def encode(document: Document) -> bytes:
    """Return the bytes that are pushed."""
    return json.dumps(document, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest to push, by its digest or under a tag."""

    payload: bytes
    algorithm: str
    tag: str | None

    @property
    def digest(self) -> str:
        """Under what it is pushed."""
        return digest_of(self.payload, self.algorithm)

    @property
    def document(self) -> Document:
        """What it says."""
        document: Document = json.loads(self.payload)
        return document

    @property
    def media_type(self) -> str:
        """Its own media type."""
        media_type: str = self.document["mediaType"]
        return media_type


@dataclass(slots=True)
class DataSet:
    """Blobs and manifests that belong together, in the order in which they are pushed."""

    algorithm: str = "sha256"
    blobs: list[bytes] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)

    def blob(self, content: bytes, media_type: str, **members: object) -> Document:
        """Take a blob in and return its descriptor."""
        if content not in self.blobs:
            self.blobs.append(content)
        return self.describe(content, media_type, **members)

    def describe(self, content: bytes, media_type: str, **members: object) -> Document:
        """Return the descriptor of content that is not pushed."""
        digest = digest_of(content, self.algorithm)
        return {"mediaType": media_type, "digest": digest, "size": len(content), **members}

    def manifest(self, document: Document, tag: str | None = None) -> Document:
        """Take a manifest in and return its descriptor."""
        made = Manifest(encode(document), self.algorithm, tag)
        self.manifests.append(made)
        return self.describe(made.payload, made.media_type)

    def image(self, tag: str | None = None, **members: object) -> Document:
        """Take in an image with two layers and return its descriptor."""
        layers = [self.blob(os.urandom(512), f"{OCI_LAYER}+gzip") for _ in range(2)]
        config = self.blob(encode({"architecture": "amd64", "id": os.urandom(8).hex()}), OCI_CONFIG)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": layers,
        }
        return self.manifest(document | members, tag)

    def index(
        self, children: list[Document], tag: str | None = None, **members: object
    ) -> Document:
        """Take in an index and return its descriptor."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        return self.manifest(document | members, tag)

    def artifact(self, tag: str | None = None, **members: object) -> Document:
        """Take in an artifact of one layer with an empty configuration."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": self.blob(b"{}", EMPTY_TYPE),
            "layers": [self.blob(os.urandom(64), "text/plain")],
        }
        return self.manifest(document | members, tag)


def _image(made: DataSet) -> None:
    made.image("v1")


def _image_uncompressed(made: DataSet) -> None:
    made.image("plain", layers=[made.blob(os.urandom(700), OCI_LAYER)])


def _docker_image(made: DataSet) -> None:
    config = made.blob(os.urandom(40), "application/vnd.docker.container.image.v1+json")
    layer = made.blob(os.urandom(500), "application/vnd.docker.image.rootfs.diff.tar.gzip")
    child = made.image(mediaType=DOCKER_MANIFEST, config=config, layers=[layer])
    made.index([child], "docker", mediaType=DOCKER_LIST)


def _large_manifest(made: DataSet) -> None:
    made.image("large", annotations={f"note-{n}": "x" * 1_000 for n in range(3_900)})


def _index(made: DataSet) -> None:
    made.index([made.image(), made.image()], "multi")


def _nested_index(made: DataSet) -> None:
    inner = made.index([made.image()])
    made.index([inner, made.image()], "nested")


def _empty_index(made: DataSet) -> None:
    made.index([], "empty")


def _sparse_index(made: DataSet) -> None:
    absent = made.describe(os.urandom(300), OCI_MANIFEST)
    made.index([made.image(), absent], "sparse")


def _artifact(made: DataSet) -> None:
    made.artifact("report")


def _artifact_index(made: DataSet) -> None:
    made.index([made.artifact(), made.artifact()], "reports", artifactType=ARTIFACT_TYPE)


def _artifact_without_layers(made: DataSet) -> None:
    empty = made.blob(b"{}", EMPTY_TYPE)
    made.artifact("bare", config=empty, layers=[empty])


def _artifacts_with_subject(made: DataSet) -> None:
    subject = made.image("subject")
    made.artifact(subject=subject, annotations={"org.example.kind": "first"})
    made.artifact(subject=subject)
    # Without an artifact type the configuration's media type stands in.
    made.image(subject=subject)


def _index_with_subject(made: DataSet) -> None:
    subject = made.image("subject")
    made.index([made.image()], subject=subject, artifactType=ARTIFACT_TYPE)
    made.index([], subject=subject)


def _missing_subject(made: DataSet) -> None:
    absent = made.describe(os.urandom(300), OCI_MANIFEST)
    made.artifact("orphan", subject=absent)


def _data_field(made: DataSet) -> None:
    made.image("data", config=made.blob(b"{}", EMPTY_TYPE, data="e30="))


def _non_distributable_layers(made: DataSet) -> None:
    foreign = made.describe(os.urandom(90), FOREIGN_LAYER, urls=["https://example.org/layer"])
    made.image("foreign", layers=[foreign])


def _custom_fields(made: DataSet) -> None:
    made.image("custom", custom={"a": [1, "b", None]}, org_example="text")


def _no_layers(made: DataSet) -> None:
    made.image("none", layers=[])


DATA_SETS: dict[str, Callable[[DataSet], None]] = {
    "image": _image,
    "image-uncompressed": _image_uncompressed,
    "docker-image": _docker_image,
    "large-manifest": _large_manifest,
    "index": _index,
    "nested-index": _nested_index,
    "empty-index": _empty_index,
    "sparse-index": _sparse_index,
    "artifact": _artifact,
    "artifact-index": _artifact_index,
    "artifact-without-layers": _artifact_without_layers,
    "artifacts-with-subject": _artifacts_with_subject,
    "index-with-subject": _index_with_subject,
    "missing-subject": _missing_subject,
    "data-field": _data_field,
    "non-distributable-layers": _non_distributable_layers,
    "custom-fields": _custom_fields,
    "no-layers": _no_layers,
}


def make_data_set(name: str, algorithm: str) -> DataSet:
    """Return fresh content of the named shape."""
    made = DataSet(algorithm)
    DATA_SETS[name](made)
    return made
