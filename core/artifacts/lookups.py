"""The reads that requests of registry clients begin with, for many of them in one statement.

Each answer tells the project and repository a name leads to, the generation of the subject that
asks, and the content asked for. Nothing here is cached, because a delete or a move must show
in the next read.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from core.artifacts.queries import (
    PROJECT_AND_GENERATION,
    PROJECT_AND_REPOSITORY,
)
from core.artifacts.types import (
    BlobLookup,
    ManifestLookup,
    ProjectFacts,
    StoredBlob,
    StoredManifest,
    TargetLookup,
)
from core.database.prepared import Lookup, Question
from core.database.raw import Row
from core.oci.digest import Digest

SMALL_PAYLOAD_BYTES: Final = 64 << 10
"""A manifest up to this size is answered along with its row.

Larger ones are rare and are read one by one, so that a statement for many holds little memory.
"""


FoundTarget = TypeVar("FoundTarget", bound=TargetLookup)


class TargetQuestion(NamedTuple):
    """Where a repository name leads; ``project`` is its first component."""

    subject: str
    project: str
    repository: str


class ManifestQuestion(NamedTuple):
    """Which manifest somebody asks for; either ``tag`` or ``digest`` is set."""

    subject: str
    project: str
    repository: str
    tag: str | None
    digest: bytes | None
    with_payload: bool


class PayloadQuestion(NamedTuple):
    """Which manifest's bytes somebody asks for, by its row."""

    manifest_id: int


class BlobQuestion(NamedTuple):
    """Which blob somebody asks for."""

    subject: str
    project: str
    repository: str
    digest: bytes


def _target(_question: TargetQuestion, row: Row) -> TargetLookup:
    return TargetLookup(_project(row), row[3], row[4], has_redirect=row[5])


def _manifest(_question: ManifestQuestion, row: Row) -> ManifestLookup:
    manifest = None
    if row[5] is not None:
        manifest = StoredManifest(
            id=row[5],
            digest=Digest.from_bytes(bytes(row[6])),
            media_type=row[7],
            size_bytes=row[8],
            touched_at=row[9],
            payload=None if row[10] is None else bytes(row[10]),
        )
    return ManifestLookup(_project(row), row[3], row[4], manifest)


def _payload(_question: PayloadQuestion, row: Row) -> bytes | None:
    return None if row[0] is None else bytes(row[0])


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


def _by_redirect(
    answer: Callable[[Question, Row], FoundTarget],
) -> Callable[[Question, Row], FoundTarget]:
    """Return the answer to a question for a former name; the row ends with the present one."""

    def redirected(question: Question, row: Row) -> FoundTarget:
        return replace(answer(question, row[:-1]), redirected_to=row[-1])

    return redirected


def _project(row: Row) -> ProjectFacts | None:
    if row[0] is None:
        return None
    return ProjectFacts(id=row[0], is_public=row[1], generation=row[2])


_WHO_AND_WHERE: Final = {
    "subject": "text",
    "project": "text",
    "repository": "text",
}
_REPOSITORY: Final = PROJECT_AND_REPOSITORY.format(repository="r")

_MANIFEST: Final = """
  LEFT JOIN LATERAL (SELECT digest FROM artifacts_tag
                      WHERE repository_id = r.id AND name = asked.tag AND ended_at IS NULL
                      LIMIT 1) t
         ON true
  LEFT JOIN LATERAL (SELECT id, digest, media_type, size_bytes, touched_at, payload
                       FROM artifacts_manifest
                      WHERE repository_id = r.id AND digest = coalesce(t.digest, asked.digest)
                      LIMIT 1) m
         ON true"""
_BLOB: Final = """
  LEFT JOIN blobs_blob b ON b.digest = asked.digest
  LEFT JOIN LATERAL (SELECT id, leased_until FROM artifacts_repositoryblob
                      WHERE repository_id = r.id AND blob_id = b.id LIMIT 1) l
         ON true"""

# Only while the name's project has not given way to another of the same name.
_REDIRECTED: Final = """
  LEFT JOIN artifacts_redirect a
         ON a.name = asked.repository
        AND NOT EXISTS (SELECT FROM projects_project taken
                         WHERE taken.name = asked.project AND taken.id <> a.project_id)
  LEFT JOIN artifacts_repository r ON r.id = a.repository_id
  LEFT JOIN projects_project p ON p.id = r.project_id"""

TARGETS: Final = Lookup(
    "find_target",
    _WHO_AND_WHERE,
    select=f"""{PROJECT_AND_GENERATION}, r.id,
       CASE WHEN r.id IS NULL THEN
       EXISTS (SELECT FROM artifacts_redirect
                WHERE name = asked.repository AND repository_id IS NOT NULL) ELSE false END""",
    joins=_REPOSITORY,
    answer=_target,
)

MANIFESTS: Final = Lookup(
    "find_manifest",
    {**_WHO_AND_WHERE, "tag": "text", "digest": "bytea", "with_payload": "boolean"},
    select=f"""{PROJECT_AND_GENERATION},
       r.id, m.id, m.digest, m.media_type, m.size_bytes, m.touched_at,
       CASE WHEN asked.with_payload AND m.size_bytes <= {SMALL_PAYLOAD_BYTES} THEN m.payload END""",
    joins=f"{_REPOSITORY}{_MANIFEST}",
    answer=_manifest,
)

PAYLOADS: Final = Lookup(
    "read_payload",
    {"manifest_id": "bigint"},
    select="m.payload",
    joins="LEFT JOIN artifacts_manifest m ON m.id = asked.manifest_id",
    answer=_payload,
)

BLOBS: Final = Lookup(
    "find_blob",
    {**_WHO_AND_WHERE, "digest": "bytea"},
    select=f"""{PROJECT_AND_GENERATION},
       r.id, l.id, b.id, b.size_bytes, b.store, b.storage_key, b.damaged_at IS NOT NULL,
       l.leased_until""",
    joins=f"{_REPOSITORY}{_BLOB}",
    answer=_blob,
)

# The same three for names that a repository had before. They are asked where the plain ones
# found nothing, so pulls by present names pay nothing for them.

REDIRECTED_TARGETS: Final = Lookup(
    "find_redirected_target",
    TARGETS.columns,
    select=f"{TARGETS.select}, r.name",
    joins=_REDIRECTED,
    answer=_by_redirect(_target),
)

REDIRECTED_MANIFESTS: Final = Lookup(
    "find_redirected_manifest",
    MANIFESTS.columns,
    select=f"{MANIFESTS.select}, r.name",
    joins=f"{_REDIRECTED}{_MANIFEST}",
    answer=_by_redirect(_manifest),
)

REDIRECTED_BLOBS: Final = Lookup(
    "find_redirected_blob",
    BLOBS.columns,
    select=f"{BLOBS.select}, r.name",
    joins=f"{_REDIRECTED}{_BLOB}",
    answer=_by_redirect(_blob),
)
