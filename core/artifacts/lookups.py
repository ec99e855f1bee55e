"""The reads of a pull, for many requests in one prepared statement each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from core.artifacts.queries import PROJECT_AND_REVOCATION
from core.artifacts.types import (
    BlobLookup,
    ManifestLookup,
    ProjectFacts,
    StoredBlob,
    StoredManifest,
)
from core.database.prepared import PreparedStatement
from core.database.raw import Row
from core.oci.digest import Digest


class ManifestQuestion(NamedTuple):
    """Which manifest somebody asks for; either ``tag`` or ``digest`` is set.

    ``issued_at`` is when the presented token was issued, None without one.
    """

    subject: str
    issued_at: datetime | None
    repository_name: str
    tag: str | None
    digest: bytes | None
    with_payload: bool


class BlobQuestion(NamedTuple):
    """Which blob somebody asks for."""

    subject: str
    issued_at: datetime | None
    repository_name: str
    digest: bytes


_FIND_MANIFESTS: Final = PreparedStatement(
    "find_manifests",
    ("text[]", "timestamptz[]", "text[]", "text[]", "text[]", "bytea[]", "boolean[]"),
    f"""
SELECT {PROJECT_AND_REVOCATION},
       r.id, m.id, m.digest, m.media_type, m.size_bytes, m.touched_at,
       CASE WHEN viewer.with_payload THEN m.payload END
  FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY
       AS viewer(subject, issued_at, project, repository, tag, digest, with_payload, position)
  LEFT JOIN projects_project p ON p.name = viewer.project
  LEFT JOIN artifacts_repository r ON r.name = viewer.repository AND r.project_id = p.id
  LEFT JOIN artifacts_tag t
         ON t.repository_id = r.id AND t.name = viewer.tag AND t.ended_at IS NULL
  LEFT JOIN artifacts_manifest m
         ON m.repository_id = r.id AND m.digest = coalesce(t.digest, viewer.digest)
 ORDER BY viewer.position
""",  # noqa: S608  # made of constants
)

_FIND_BLOBS: Final = PreparedStatement(
    "find_blobs",
    ("text[]", "timestamptz[]", "text[]", "text[]", "bytea[]"),
    f"""
SELECT {PROJECT_AND_REVOCATION},
       r.id, l.id, b.id, b.size_bytes, b.store, b.storage_key, b.damaged_at IS NOT NULL,
       l.leased_until
  FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY
       AS viewer(subject, issued_at, project, repository, digest, position)
  LEFT JOIN projects_project p ON p.name = viewer.project
  LEFT JOIN artifacts_repository r ON r.name = viewer.repository AND r.project_id = p.id
  LEFT JOIN blobs_blob b ON b.digest = viewer.digest
  LEFT JOIN artifacts_repositoryblob l ON l.repository_id = r.id AND l.blob_id = b.id
 ORDER BY viewer.position
""",  # noqa: S608  # made of constants
)


def find_manifests(
    questions: Sequence[ManifestQuestion],
) -> Mapping[ManifestQuestion, ManifestLookup]:
    """Answer every question with one statement. Payloads are empty unless asked for."""
    subjects, issued, names, tags, digests, payloads = zip(*questions, strict=True)
    projects = [name.partition("/")[0] for name in names]
    rows = _FIND_MANIFESTS.fetch_all(
        (
            list(subjects),
            list(issued),
            projects,
            list(names),
            list(tags),
            list(digests),
            list(payloads),
        )
    )
    return {question: _manifest(row) for question, row in zip(questions, rows, strict=True)}


def find_blobs(questions: Sequence[BlobQuestion]) -> Mapping[BlobQuestion, BlobLookup]:
    """Answer every question with one statement."""
    subjects, issued, names, digests = zip(*questions, strict=True)
    projects = [name.partition("/")[0] for name in names]
    rows = _FIND_BLOBS.fetch_all(
        (list(subjects), list(issued), projects, list(names), list(digests))
    )
    return {question: _blob(question, row) for question, row in zip(questions, rows, strict=True)}


def _manifest(row: Row) -> ManifestLookup:
    manifest = None
    if row[5] is not None:
        manifest = StoredManifest(
            id=row[5],
            digest=Digest.from_bytes(bytes(row[6])),
            media_type=row[7],
            size_bytes=row[8],
            touched_at=row[9],
            payload=bytes(row[10] or b""),
        )
    return ManifestLookup(_project(row), row[3], row[4], manifest)


def _blob(question: BlobQuestion, row: Row) -> BlobLookup:
    blob = None
    # A link makes it a blob of this repository; one of another repository never shows.
    if row[5] is not None:
        blob = StoredBlob(
            id=row[6],
            digest=Digest.from_bytes(question.digest),
            size_bytes=row[7],
            store=row[8],
            storage_key=row[9],
            is_damaged=row[10],
            leased_until=row[11],
        )
    return BlobLookup(_project(row), row[3], row[4], blob)


def _project(row: Row) -> ProjectFacts | None:
    if row[0] is None:
        return None
    return ProjectFacts(id=row[0], is_public=row[1], created_at=row[2])
