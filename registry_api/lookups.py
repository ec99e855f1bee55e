"""The reads that requests begin with, shared by those that ask at the same time.

They are asked from the event loop. To add one, describe it as a ``Lookup`` in the feature that
owns the tables, and let a ``Batches`` of this module ask it through ``CONNECTIONS``.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from core.artifacts.lookups import (
    BLOBS,
    MANIFESTS,
    PAYLOADS,
    TARGETS,
    BlobQuestion,
    ManifestQuestion,
    PayloadQuestion,
    TargetQuestion,
)
from core.artifacts.types import BlobLookup, ManifestLookup, TargetLookup
from core.database.asynchronous import Connections
from core.oci.digest import Digest
from registry_api.batches import Batches

CONNECTIONS: Final = Connections(4)
"""What all look-ups of this process go through; each kind uses two at a time."""

_TARGETS: Final = Batches(partial(TARGETS.ask, CONNECTIONS))
_MANIFESTS: Final = Batches(partial(MANIFESTS.ask, CONNECTIONS))
_BLOBS: Final = Batches(partial(BLOBS.ask, CONNECTIONS))


async def find_target(name: str, subject: str) -> TargetLookup:
    """Return where a repository name leads, for a subject (``Actor.subject``)."""
    question = TargetQuestion(subject, name.partition("/")[0], name)
    return await _TARGETS.ask(question)


async def find_manifest(
    name: str, reference: Digest | str, subject: str, *, with_payload: bool
) -> ManifestLookup:
    """Return the manifest that a digest or tag names in a repository."""
    question = ManifestQuestion(
        subject,
        name.partition("/")[0],
        name,
        reference if isinstance(reference, str) else None,
        reference.to_bytes() if isinstance(reference, Digest) else None,
        with_payload,
    )
    lookup = await _MANIFESTS.ask(question)
    manifest = lookup.manifest
    if with_payload and manifest is not None and manifest.payload is None:
        [payload] = await PAYLOADS.ask(CONNECTIONS, [PayloadQuestion(manifest.id)])
        # It may have been deleted in between, and is then not there.
        found = None if payload is None else replace(manifest, payload=payload)
        return replace(lookup, manifest=found)
    return lookup


async def find_blob(name: str, digest: Digest, subject: str) -> BlobLookup:
    """Return a blob that the repository may serve."""
    project = name.partition("/")[0]
    question = BlobQuestion(subject, project, name, digest.to_bytes())
    return await _BLOBS.ask(question)
