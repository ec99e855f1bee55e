"""Blobs, manifests and tags, made through the services with explicit content."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from pytest_django.fixtures import Settings

from core.artifacts.lookups import (
    BLOBS,
    MANIFESTS,
    BlobQuestion,
    ManifestQuestion,
)
from core.artifacts.services.blobs import finish_upload
from core.artifacts.services.manifests import push_manifest
from core.artifacts.types import (
    BlobLookup,
    ManifestLookup,
    PushedManifest,
    StoredBlob,
)
from core.blobs.services import open_session, start_upload
from core.blobs.types import UploadFacts
from core.common.origin import Origin
from core.database.asynchronous import Connections
from core.database.prepared import Answer, Lookup, Question
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, OCI_LAYER
from core.projects.models import Project
from core.rbac.types import Actor, ActorKind
from core.storage.selection import default_driver

PUSHER = Actor(
    kind=ActorKind.USER,
    id=7,
    label="pusher",
    origin=Origin(address="192.0.2.7", user_agent="tests/1", request_id="r-7"),
)
VIEWER = PUSHER.subject


@contextmanager
def storage_in(directory: Path, settings: Settings) -> Iterator[Path]:
    """Let the default driver keep its files in a directory of the test's own."""
    settings.STORAGE_ROOT = directory
    default_driver.cache_clear()
    yield directory
    default_driver.cache_clear()


def stored_files() -> list[str]:
    """Return what the storage holds, finished or not: ``blob`` or ``upload``, and the key."""
    driver = default_driver()
    return sorted(
        [f"blob {item.key}" for item in driver.list_blobs()]
        + [f"upload {item.key}" for item in driver.list_uploads()]
    )


def make_upload(
    project: Project, path: str = "app", *, algorithm: str = "sha256", owner: Actor = PUSHER
) -> UploadFacts:
    """Start an upload into a repository that need not exist."""
    return start_upload(
        project_id=project.pk,
        repository_name=f"{project.name}/{path}",
        actor_subject=owner.subject,
        algorithm=algorithm,
    )


def write_chunk(upload: UploadFacts, data: bytes, *, offset: int | None = None) -> int:
    """Append a durable chunk as one request would and return the size."""
    with open_session(
        upload.id,
        repository_name=upload.repository_name,
        owner=upload.owner,
        expected_offset=offset,
    ) as session:
        session.write(data)
        return session.checkpoint()


def finish(upload: UploadFacts, digest: Digest, data: bytes = b"") -> StoredBlob:
    """Close an upload as one request would, with a last piece of data or without."""
    with open_session(
        upload.id,
        repository_name=upload.repository_name,
        owner=upload.owner,
        expected_offset=None,
    ) as session:
        if data:
            session.write(data)
        return finish_upload(session, digest, actor=PUSHER)


def make_blob(project: Project, content: bytes, path: str = "app") -> StoredBlob:
    """Upload content into a repository, which is created by it."""
    return finish(make_upload(project, path), Digest.of(content), content)


def descriptor(content: bytes, media_type: str, **members: object) -> dict[str, object]:
    """Return the JSON descriptor of some content."""
    return {
        "mediaType": media_type,
        "digest": str(Digest.of(content)),
        "size": len(content),
        **members,
    }


def image_document(
    config: bytes = b"{}",
    layers: Sequence[bytes] = (),
    *,
    subject: bytes | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of an OCI image manifest."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": descriptor(config, OCI_IMAGE_CONFIG),
        "layers": [descriptor(layer, OCI_LAYER) for layer in layers],
    }
    if subject is not None:
        document["subject"] = descriptor(subject, OCI_IMAGE_MANIFEST)
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    if annotations is not None:
        document["annotations"] = dict(annotations)
    return json.dumps(document).encode()


def index_document(*children: bytes, media_type: str = OCI_IMAGE_MANIFEST) -> bytes:
    """Return the bytes of an OCI image index of these manifests."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_INDEX,
            "manifests": [descriptor(child, media_type) for child in children],
        }
    ).encode()


def push(
    project: Project,
    payload: bytes,
    reference: Digest | str | None = None,
    path: str = "app",
    *,
    extra_tags: Sequence[str] = (),
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> PushedManifest:
    """Push a manifest, by its SHA-256 digest unless a reference is given."""
    return push_manifest(
        f"{project.name}/{path}",
        project_id=project.pk,
        payload=payload,
        content_type=None,
        reference=Digest.of(payload) if reference is None else reference,
        extra_tags=extra_tags,
        if_match=if_match,
        if_none_match=if_none_match,
        actor=PUSHER,
    )


def ask(lookup: Lookup[Question, Answer], question: Question) -> Answer:
    """Ask one question on a connection of its own."""

    async def answer() -> Answer:
        connections = Connections(1)
        try:
            [found] = await lookup.ask(connections, [question])
            return found
        finally:
            connections.close()

    return asyncio.run(answer())


def find_manifest(
    name: str, reference: Digest | str, subject: str = VIEWER, *, with_payload: bool = True
) -> ManifestLookup:
    """Look one manifest up, as a request that comes alone does."""
    question = ManifestQuestion(
        subject,
        name.partition("/")[0],
        name,
        reference if isinstance(reference, str) else None,
        reference.to_bytes() if isinstance(reference, Digest) else None,
        with_payload,
    )
    return ask(MANIFESTS, question)


def head_manifest(name: str, reference: Digest | str, subject: str = VIEWER) -> ManifestLookup:
    """Look one manifest up without its payload."""
    return find_manifest(name, reference, subject, with_payload=False)


def find_blob(name: str, digest: Digest, subject: str = VIEWER) -> BlobLookup:
    """Look one blob up."""
    project = name.partition("/")[0]
    question = BlobQuestion(subject, project, name, digest.to_bytes())
    return ask(BLOBS, question)


def make_image(
    project: Project,
    reference: Digest | str | None = None,
    *,
    config: bytes = b"{}",
    layers: Sequence[bytes] = (b"layer",),
    path: str = "app",
) -> PushedManifest:
    """Push an image with all its content."""
    for content in (config, *layers):
        make_blob(project, content, path)
    return push(project, image_document(config, layers), reference, path)


_PROLOGUE = """
import sys
from pathlib import Path
from uuid import UUID
import django
django.setup()
from django.conf import settings
from django.db import connections
connections.settings["default"]["NAME"] = sys.argv[1]
settings.STORAGE_ROOT = Path(sys.argv[2])
upload_id, name = UUID(sys.argv[3]), sys.argv[4]
from core.artifacts.services.blobs import finish_upload
from core.blobs.services import open_session
from core.common import failpoints
from core.oci.digest import Digest
from tests.factories.artifacts import PUSHER
session = open_session(
    upload_id, repository_name=name, owner=PUSHER.subject, expected_offset=None
)
"""


def in_other_process(
    script: str, upload: UploadFacts, storage_root: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a script on an open ``session`` of the upload, in a process of its own."""
    arguments = [connection.settings_dict["NAME"], str(storage_root), str(upload.id)]
    return subprocess.run(
        [sys.executable, "-c", _PROLOGUE + script, *arguments, upload.repository_name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
