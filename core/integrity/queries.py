"""Rows that contradict each other or their documents. The database does the comparing."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from core.database import raw
from core.oci.digest import Digest

BATCH: Final = 1_000

_LAST_OF_BATCH: Final = """
SELECT max(id), count(*) FROM (
       SELECT id FROM artifacts_manifest WHERE id > %s ORDER BY id LIMIT %s) AS batch
"""

# The first byte of a digest is its algorithm: see core.oci.digest.
_DAMAGED_MANIFESTS: Final = r"""
SELECT r.name, m.digest
  FROM artifacts_manifest m LEFT JOIN artifacts_repository r ON r.id = m.repository_id
 WHERE m.id > %s AND m.id <= %s
   AND (m.size_bytes <> length(m.payload)
        OR m.digest <> CASE get_byte(m.digest, 0)
                       WHEN 1 THEN '\x01'::bytea || sha256(m.payload)
                       WHEN 2 THEN '\x02'::bytea || sha512(m.payload)
                       ELSE '\x00'::bytea END)
 ORDER BY m.id
"""

# References that wait for content are left out: they lead nowhere on purpose.
_BROKEN_REFERENCES: Final = """
SELECT r.name, m.digest, f.digest,
       CASE WHEN f.blob_id IS NOT NULL AND b.id IS NULL THEN 'its blob has no row'
            WHEN b.digest <> f.digest OR b.size_bytes <> f.size_bytes THEN 'its blob is another'
            WHEN f.blob_id IS NOT NULL AND l.id IS NULL THEN 'the repository lacks the blob'
            WHEN f.child_id IS NOT NULL AND c.id IS NULL THEN 'its manifest has no row'
            ELSE 'its manifest is another' END
  FROM artifacts_manifest m
  JOIN artifacts_manifestreference f ON f.parent_id = m.id
  LEFT JOIN artifacts_repository r ON r.id = m.repository_id
  LEFT JOIN blobs_blob b ON b.id = f.blob_id
  LEFT JOIN LATERAL (SELECT id FROM artifacts_repositoryblob
                      WHERE repository_id = m.repository_id AND blob_id = b.id LIMIT 1) l
         ON true
  LEFT JOIN artifacts_manifest c ON c.id = f.child_id
 WHERE m.id > %s AND m.id <= %s
   AND ((f.blob_id IS NOT NULL
         AND (b.id IS NULL OR l.id IS NULL
              OR b.digest <> f.digest OR b.size_bytes <> f.size_bytes))
        OR (f.child_id IS NOT NULL
            AND (c.id IS NULL OR c.repository_id <> m.repository_id
                 OR c.digest <> f.digest OR c.size_bytes <> f.size_bytes)))
 ORDER BY m.id, f.position
"""

_BROKEN_TAGS: Final = """
SELECT r.name, t.name
  FROM artifacts_tag t
  LEFT JOIN artifacts_repository r ON r.id = t.repository_id
  LEFT JOIN artifacts_manifest m ON m.id = t.manifest_id
 WHERE t.ended_at IS NULL
   AND (m.id IS NULL OR m.repository_id <> t.repository_id OR m.digest <> t.digest)
 ORDER BY r.name, t.name
"""

_BROKEN_LINKS: Final = """
SELECT r.name, l.blob_id
  FROM artifacts_repositoryblob l
  LEFT JOIN artifacts_repository r ON r.id = l.repository_id
 WHERE NOT EXISTS (SELECT 1 FROM blobs_blob b WHERE b.id = l.blob_id)
 ORDER BY r.name, l.blob_id
"""

_CONDEMNED_BLOBS: Final = """
SELECT b.digest, b.storage_key
  FROM blobs_condemnedobject c JOIN blobs_blob b ON b.storage_key = c.storage_key
 ORDER BY b.id
"""


class FoundManifest(NamedTuple):
    """A manifest by the name of its repository and its digest."""

    repository: str
    digest: Digest


class BrokenReference(NamedTuple):
    """A reference of a manifest that does not lead where it should, and why."""

    manifest: FoundManifest
    digest: Digest
    reason: str


def last_manifest_of_batch(after_id: int) -> tuple[int, int] | None:
    """Return the last id, and how many there are, of the next batch of manifests behind an id.

    None behind the last one.
    """
    row = raw.fetch_one(_LAST_OF_BATCH, (after_id, BATCH))
    return None if row is None or row[0] is None else (row[0], row[1])


def find_damaged_manifests(after_id: int, last_id: int) -> list[FoundManifest]:
    """Return the manifests with these ids whose documents do not have their digest or size."""
    rows = raw.fetch_all(_DAMAGED_MANIFESTS, (after_id, last_id))
    return [_manifest(*row) for row in rows]


def find_broken_references(after_id: int, last_id: int) -> list[BrokenReference]:
    """Return the references of the manifests with these ids that their repository cannot serve."""
    rows = raw.fetch_all(_BROKEN_REFERENCES, (after_id, last_id))
    return [
        BrokenReference(_manifest(name, digest), Digest.from_bytes(bytes(part)), reason)
        for name, digest, part, reason in rows
    ]


def find_broken_tags() -> Iterator[tuple[str, str]]:
    """Yield repository and name of the live tags that lead to no manifest of theirs."""
    yield from raw.fetch_all(_BROKEN_TAGS)


def find_broken_links() -> Iterator[tuple[str, int]]:
    """Yield repositories and the ids of blobs that they should have and that are gone."""
    yield from raw.fetch_all(_BROKEN_LINKS)


def find_condemned_blobs() -> Iterator[tuple[Digest, str]]:
    """Yield the blobs that stand on a condemned object, with its key."""
    for digest, storage_key in raw.fetch_all(_CONDEMNED_BLOBS):
        yield Digest.from_bytes(bytes(digest)), storage_key


def _manifest(name: str | None, digest: memoryview) -> FoundManifest:
    return FoundManifest(name or "(no repository)", Digest.from_bytes(bytes(digest)))
