"""The reads that requests begin with, shared by those that ask at the same time.

They are asked from the event loop. To add one, describe it as a ``Lookup`` in the feature that
owns the tables, and let a ``Batches`` of this module ask it through ``CONNECTIONS``.
"""

from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from core.artifacts.lookups import (
    BLOBS,
    MANIFESTS,
    PAYLOADS,
    REDIRECTED_BLOBS,
    REDIRECTED_MANIFESTS,
    REDIRECTED_TARGETS,
    TARGETS,
    BlobQuestion,
    ManifestQuestion,
    PayloadQuestion,
    TargetQuestion,
)
from core.artifacts.types import BlobLookup, ManifestLookup, TargetLookup
from core.database.asynchronous import Connections
from core.database.versions import Versions
from core.grants.lookups import (
    PASSWORD_VERSIONS,
    PASSWORDS,
    TOKEN_VERSIONS,
    TOKENS,
    PasswordQuestion,
    PasswordRowKeys,
    PasswordStanding,
    TokenQuestion,
    TokenRowKeys,
    TokenStanding,
)
from core.oci.digest import Digest
from core.robots.lookups import (
    PROJECT_ROBOTS,
    ROBOT_VERSIONS,
    SYSTEM_ROBOTS,
    RobotQuestion,
    RobotRowKeys,
    RobotStanding,
)
from registry_api.batches import Batches
from registry_api.remembered import Remembered

CONNECTIONS: Final = Connections(4)
"""What all look-ups of this process go through; each kind uses two at a time."""

_TARGETS: Final[Batches[TargetQuestion, TargetLookup]] = Batches(partial(TARGETS.ask, CONNECTIONS))
_MANIFESTS: Final[Batches[ManifestQuestion, ManifestLookup]] = Batches(
    partial(MANIFESTS.ask, CONNECTIONS)
)
_BLOBS: Final[Batches[BlobQuestion, BlobLookup]] = Batches(partial(BLOBS.ask, CONNECTIONS))
_REDIRECTED_TARGETS: Final[Batches[TargetQuestion, TargetLookup]] = Batches(
    partial(REDIRECTED_TARGETS.ask, CONNECTIONS)
)
_REDIRECTED_MANIFESTS: Final[Batches[ManifestQuestion, ManifestLookup]] = Batches(
    partial(REDIRECTED_MANIFESTS.ask, CONNECTIONS)
)
_REDIRECTED_BLOBS: Final[Batches[BlobQuestion, BlobLookup]] = Batches(
    partial(REDIRECTED_BLOBS.ask, CONNECTIONS)
)
_PROJECT_ROBOTS: Final[Batches[RobotQuestion, RobotStanding]] = Batches(
    partial(PROJECT_ROBOTS.ask, CONNECTIONS)
)
_SYSTEM_ROBOTS: Final[Batches[RobotQuestion, RobotStanding]] = Batches(
    partial(SYSTEM_ROBOTS.ask, CONNECTIONS)
)
_ROBOT_VERSIONS: Final[Batches[RobotRowKeys, Versions]] = Batches(
    partial(ROBOT_VERSIONS.ask, CONNECTIONS)
)
_PASSWORDS: Final[Batches[PasswordQuestion, PasswordStanding]] = Batches(
    partial(PASSWORDS.ask, CONNECTIONS)
)
_PASSWORD_VERSIONS: Final[Batches[PasswordRowKeys, Versions]] = Batches(
    partial(PASSWORD_VERSIONS.ask, CONNECTIONS)
)
_TOKENS: Final[Batches[TokenQuestion, TokenStanding]] = Batches(partial(TOKENS.ask, CONNECTIONS))
_TOKEN_VERSIONS: Final[Batches[TokenRowKeys, Versions]] = Batches(
    partial(TOKEN_VERSIONS.ask, CONNECTIONS)
)


def project_of(repository_name: str) -> str:
    """Return the name of the project that a repository of the name belongs to."""
    return repository_name.partition("/")[0]


async def find_target(name: str, subject: str, *, redirected: bool = False) -> TargetLookup:
    """Return where a repository name leads, for a subject (``Actor.subject``).

    Here and below, a ``redirected`` look-up takes the name for one that a repository had.
    """
    question = TargetQuestion(subject, project_of(name), name)
    return await (_REDIRECTED_TARGETS if redirected else _TARGETS).ask(question)


async def find_manifest(
    name: str,
    reference: Digest | str,
    subject: str,
    *,
    with_payload: bool,
    redirected: bool = False,
) -> ManifestLookup:
    """Return the manifest that a digest or tag names in a repository."""
    question = ManifestQuestion(
        subject,
        project_of(name),
        name,
        reference if isinstance(reference, str) else None,
        reference.to_bytes() if isinstance(reference, Digest) else None,
        with_payload,
    )
    lookup = await (_REDIRECTED_MANIFESTS if redirected else _MANIFESTS).ask(question)
    manifest = lookup.manifest
    if with_payload and manifest is not None and manifest.payload is None:
        # Large ones come one by one, so that no statement holds many of them.
        wanted = PayloadQuestion(manifest.id)
        [row] = await CONNECTIONS.fetch_all(PAYLOADS.one, wanted)
        payload = PAYLOADS.answer(wanted, row)
        # It may have been deleted in between, and is then not there.
        found = None if payload is None else replace(manifest, payload=payload)
        return replace(lookup, manifest=found)
    return lookup


async def find_blob(
    name: str, digest: Digest, subject: str, *, redirected: bool = False
) -> BlobLookup:
    """Return a blob that the repository may serve."""
    project = project_of(name)
    question = BlobQuestion(subject, project, name, digest.to_bytes())
    return await (_REDIRECTED_BLOBS if redirected else _BLOBS).ask(question)


def _find_robot(question: RobotQuestion) -> Coroutine[Any, Any, RobotStanding]:
    robots = _SYSTEM_ROBOTS if question.owner is None else _PROJECT_ROBOTS
    return robots.ask(question)


ROBOT_STANDINGS: Final = Remembered(_find_robot, _ROBOT_VERSIONS.ask)
"""Robots and their rights in a project."""

PASSWORD_STANDINGS: Final = Remembered(_PASSWORDS.ask, _PASSWORD_VERSIONS.ask)
"""Users with their passwords' hashes and their grants for a repository."""

TOKEN_STANDINGS: Final = Remembered(_TOKENS.ask, _TOKEN_VERSIONS.ask)
"""Personal access tokens and their users' grants for a repository."""
