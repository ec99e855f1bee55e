"""Many rows at once, straight into the tables of a running server.

Pushing 100,000 repositories would take an hour. These statements write what such pushes would
leave behind, with two exceptions: the layers that repositories do not share have rows but no
bytes, since nobody asks for them, and there is no audit of it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg2.extensions

from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, OCI_LAYER

Cursor = psycopg2.extensions.cursor

TABLES = (
    "artifacts_repository",
    "artifacts_repositoryblob",
    "artifacts_manifest",
    "artifacts_manifestreference",
    "artifacts_tag",
    "blobs_blob",
)
SHA256 = b"\x01"
"""First byte of a stored digest: see core.oci.digest."""

NAME_MARK, LAYER_MARK = "@name@", "@layer@"
SHARED_BYTES = 1_500
LAYER_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class SeededRepository:
    """A seeded repository, its tag and the digest of its only manifest."""

    name: str
    tag: str
    digest: str


_REPOSITORIES = """
INSERT INTO artifacts_repository
       (project_id, name, description, pull_count, created_at, updated_at)
SELECT p.id, p.name || '/' || %(prefix)s || '-' || lpad(n::text, 6, '0'), '', 0, now(), now()
  FROM projects_project p, generate_series(%(first)s, %(last)s) n
 WHERE p.name = %(project)s
"""

_LAYERS = """
INSERT INTO blobs_blob (digest, size_bytes, storage_key, created_at)
SELECT %(algorithm)s || sha256(r.name::bytea), %(layer_bytes)s,
       'blobs/' || left(md5(r.name), 2) || '/' || md5(r.name), now()
  FROM artifacts_repository r WHERE r.id > %(behind)s
"""

# Every repository serves a blob of its own and the one that all of them share.
_LINKS = """
INSERT INTO artifacts_repositoryblob (repository_id, blob_id, leased_until, pushed_by)
SELECT r.id, b.id, now() + interval '1 day', 'bench'
  FROM artifacts_repository r
  JOIN blobs_blob b ON b.digest IN (%(algorithm)s || sha256(r.name::bytea), %(shared)s)
 WHERE r.id > %(behind)s
"""

_MANIFESTS = """
INSERT INTO artifacts_manifest
       (repository_id, digest, media_type, config_media_type, size_bytes, payload, annotations,
        total_bytes, pushed_at, pushed_by, touched_at)
SELECT made.id, %(algorithm)s || sha256(made.payload), %(media_type)s, %(config_type)s,
       length(made.payload), made.payload, '{}',
       %(shared_bytes)s + %(layer_bytes)s + length(made.payload), now(), 'bench', now()
  FROM (SELECT r.id,
               convert_to(replace(replace(%(template)s, %(name_mark)s, r.name), %(layer_mark)s,
                                  encode(sha256(r.name::bytea), 'hex')), 'UTF8') AS payload
          FROM artifacts_repository r WHERE r.id > %(behind)s) AS made
"""

_REFERENCES = """
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, blob_id)
SELECT m.id, CASE WHEN b.digest = %(shared)s THEN 0 ELSE 1 END,
       CASE WHEN b.digest = %(shared)s THEN 'config' ELSE 'layer' END,
       b.digest, b.size_bytes,
       CASE WHEN b.digest = %(shared)s THEN %(config_type)s ELSE %(layer_type)s END, b.id
  FROM artifacts_manifest m
  JOIN artifacts_repositoryblob l ON l.repository_id = m.repository_id
  JOIN blobs_blob b ON b.id = l.blob_id
 WHERE m.repository_id > %(behind)s
"""

_TAGS = """
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by)
SELECT m.repository_id, 'latest', m.id, m.digest, now(), 'bench', ''
  FROM artifacts_manifest m WHERE m.repository_id > %(behind)s
"""

_MORE_TAGS = """
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by)
SELECT m.repository_id, 'build-' || lpad(n::text, 6, '0'), m.id, m.digest, now(), 'bench', ''
  FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id,
       generate_series(1, %(count)s) n
 WHERE r.name = %(repository)s
"""

_SAMPLE = """
SELECT r.name, t.name, t.digest
  FROM artifacts_repository r JOIN artifacts_tag t ON t.repository_id = r.id
 WHERE r.name = ANY(%(names)s) AND t.ended_at IS NULL ORDER BY r.name
"""


def seed_repositories(
    cursor: Cursor, project: str, prefix: str, first: int, last: int, shared_blob: str
) -> None:
    """Add the repositories ``project/prefix-<number>`` from ``first`` to ``last``.

    Each has the tag ``latest`` on a manifest of its own, which names a layer of its own and, as
    its config, the blob that all share; ``shared_blob`` is its digest and it must exist.
    """
    shared = SHA256 + bytes.fromhex(shared_blob.removeprefix("sha256:"))
    cursor.execute("SELECT coalesce(max(id), 0) FROM artifacts_repository")
    (behind,) = cursor.fetchone() or (0,)
    values = {
        "project": project,
        "prefix": prefix,
        "first": first,
        "last": last,
        "behind": behind,
        "shared": shared,
        "algorithm": SHA256,
        "media_type": OCI_IMAGE_MANIFEST,
        "config_type": OCI_IMAGE_CONFIG,
        "layer_type": OCI_LAYER,
        "template": _template(shared_blob),
        "layer_bytes": LAYER_BYTES,
        "shared_bytes": SHARED_BYTES,
        "name_mark": NAME_MARK,
        "layer_mark": LAYER_MARK,
    }
    for statement in (_REPOSITORIES, _LAYERS, _LINKS, _MANIFESTS, _REFERENCES, _TAGS):
        cursor.execute(statement, values)


def seed_tags(cursor: Cursor, repository: str, count: int) -> None:
    """Add the tags ``build-<number>`` from 1 to ``count`` to a repository with one manifest."""
    cursor.execute(_MORE_TAGS, {"repository": repository, "count": count})


def find_seeded(
    cursor: Cursor, project: str, prefix: str, numbers: Iterable[int]
) -> list[SeededRepository]:
    """Return the seeded repositories with these numbers."""
    names = [f"{project}/{prefix}-{number:06d}" for number in numbers]
    cursor.execute(_SAMPLE, {"names": names})
    return [
        SeededRepository(name, tag, f"sha256:{bytes(digest)[1:].hex()}")
        for name, tag, digest in cursor.fetchall()
    ]


def refresh_statistics(cursor: Cursor) -> None:
    """Do what autovacuum would do within minutes. The connection must be in autocommit mode."""
    for table in TABLES:
        cursor.execute(f"VACUUM ANALYZE {table}")


def _template(shared_blob: str) -> str:
    """Return a manifest with marks for the repository's name and the hash of its layer."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE_MANIFEST,
            "config": {"mediaType": OCI_IMAGE_CONFIG, "digest": shared_blob, "size": SHARED_BYTES},
            "layers": [
                {"mediaType": OCI_LAYER, "digest": f"sha256:{LAYER_MARK}", "size": LAYER_BYTES}
            ],
            "annotations": {"org.opencontainers.image.ref.name": NAME_MARK, "padding": "-" * 400},
        }
    )
