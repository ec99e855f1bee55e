"""What must hold between database and storage after anything whatever has happened.

I1  A blob row stands on a complete object with the right bytes.
I2  A manifest row has its exact payload, and everything it requires is there; a child of an
    index may be missing, but is bound to it when it is there.
I3  An object that a row needs is never deleted (seen as I1 and I2 at any later time).
I4  No storage key belongs to two uploads or blobs, nor changes hands, ever.
I5  A live tag leads to a manifest of its repository; one live row for each name, and its newest.
I6  What each project holds is counted exactly, content by content and in bytes.
I7  An open upload has every byte that its row counts, and they are the bytes that were hashed.

Beside these: every object in the storage is named by a row (`leaked`). I8, rather leak than
lose, is what makes `leaked` a matter of housekeeping: it is looked at after a sweep.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.clients.records import Records
from tests.faults.contents import Contents, Directory

_ALGORITHMS = {1: "sha256", 2: "sha512"}

_REFERENCES = """
SELECT m.id, f.role, f.digest, f.size_bytes, b.digest, b.size_bytes, c.digest, c.size_bytes,
       c.repository_id = m.repository_id,
       EXISTS (SELECT FROM artifacts_repositoryblob l
                WHERE l.repository_id = m.repository_id AND l.blob_id = f.blob_id),
       EXISTS (SELECT FROM artifacts_manifest w
                WHERE w.repository_id = m.repository_id AND w.digest = f.digest
                  AND w.size_bytes = f.size_bytes)
  FROM artifacts_manifestreference f
  JOIN artifacts_manifest m ON m.id = f.parent_id
  LEFT JOIN blobs_blob b ON b.id = f.blob_id
  LEFT JOIN artifacts_manifest c ON c.id = f.child_id
 ORDER BY m.id, f.position
"""

_TAGS = """
SELECT t.id, t.repository_id, t.name, t.digest, t.ended_at IS NULL,
       m.digest, m.repository_id, t.ended_at < t.started_at
  FROM artifacts_tag t LEFT JOIN artifacts_manifest m ON m.id = t.manifest_id
 ORDER BY t.id
"""

_MISCOUNTED = """
WITH actual AS (
     SELECT r.project_id, b.digest, false AS is_manifest, b.size_bytes, count(*) AS holders
       FROM artifacts_repository r
       JOIN artifacts_repositoryblob l ON l.repository_id = r.id
       JOIN blobs_blob b ON b.id = l.blob_id GROUP BY r.project_id, b.digest, b.size_bytes
      UNION ALL
     SELECT r.project_id, m.digest, true, m.size_bytes, count(*)
       FROM artifacts_repository r
       JOIN artifacts_manifest m ON m.repository_id = r.id
      GROUP BY r.project_id, m.digest, m.size_bytes)
SELECT project_id, count(*)
  FROM actual FULL JOIN usage_projectcontent counted
 USING (project_id, digest, is_manifest, size_bytes, holders)
 WHERE actual.digest IS NULL OR counted.id IS NULL
 GROUP BY project_id
"""

_USAGE = """
SELECT q.project_id,
       q.used_bytes + coalesce((SELECT sum(bytes) FROM quotas_usagechange c
                                 WHERE c.project_id = q.project_id), 0),
       coalesce((SELECT sum(size_bytes) FROM usage_projectcontent c
                  WHERE c.project_id = q.project_id), 0)
  FROM quotas_quota q
"""

_OPEN_UPLOADS = """
SELECT id, storage_key, size_bytes, algorithm, digest_at_size, storage_state
  FROM blobs_upload
 WHERE committed_digest IS NULL AND expires_at > clock_timestamp() AND size_bytes > 0
"""


class Store:
    """The database and the storage of one server. Keep it as long as the server: it remembers."""

    def __init__(self, data_dir: Path, contents: Contents | None = None) -> None:
        """Take the data directory, whose PostgreSQL must run; `contents` if not kept there."""
        self.records = Records(data_dir)
        self.directory = Directory(data_dir / "storage")
        self._contents = contents or self.directory
        self._owners: dict[str, bytes] = {}
        self.old_repositories: set[str] = set()
        """The repositories that some later check may find deleted."""

    def assert_sound(self) -> None:
        """Expect every invariant; AssertionError lists all that are broken."""
        broken = list(self.violations())
        assert not broken, "\n".join(broken)

    def assert_nothing_leaked(self) -> None:
        """Expect every object to be named by a row."""
        leaked = self.leaked()
        assert not leaked, leaked

    def violations(self) -> Iterator[str]:
        """Say which invariants are broken, and how."""
        yield from self._broken_blobs()
        yield from self._broken_uploads()
        yield from self._broken_manifests()
        yield from self._broken_references()
        yield from self._broken_keys()
        yield from self._broken_tags()
        yield from self._broken_usage()

    def leaked(self) -> list[str]:
        """Return the objects that no row names, and unfinished bytes of uploads that ended."""
        blobs = {
            key
            for (key,) in self.records.rows(
                "SELECT storage_key FROM blobs_blob"
                " UNION ALL SELECT storage_key FROM blobs_condemnedobject"
            )
        }
        uploads = {
            key
            for (key,) in self.records.rows(
                "SELECT storage_key FROM blobs_upload WHERE committed_digest IS NULL"
            )
        }
        return [
            *(f"object {key}" for key in sorted(self._contents.finished() - blobs)),
            *(f"upload {key}" for key in sorted(self._contents.unfinished() - uploads)),
            *(f"stranger {name}" for name in self._contents.foreign()),
        ]

    def _broken_blobs(self) -> Iterator[str]:
        query = "SELECT id, digest, size_bytes, storage_key FROM blobs_blob"
        for number, digest, size, key in self.records.rows(query):
            found = self._contents.size(key)
            if found is None:
                yield f"I1: blob {number} has no object {key}"
            elif found != size:
                yield f"I1: object {key} has {found} bytes, its row says {size}"
            elif _digest_of(self._contents.pieces(key), bytes(digest)) != bytes(digest):
                yield f"I1: object {key} has other bytes than its digest says"

    def _broken_uploads(self) -> Iterator[str]:
        for number, key, size, algorithm, digest, state in self.records.rows(_OPEN_UPLOADS):
            pieces = self._contents.acknowledged_pieces(key, size, state)
            if pieces is None:
                continue
            found, running = 0, hashlib.new(algorithm)
            for piece in pieces:
                found += len(piece)
                running.update(piece)
            if found < size:
                yield f"I7: upload {number} has {found} of the {size} bytes of its row"
            elif digest is not None and running.hexdigest() != digest:
                yield f"I7: upload {number} has other bytes than were hashed"

    def _broken_manifests(self) -> Iterator[str]:
        query = "SELECT id, digest, size_bytes, payload FROM artifacts_manifest"
        references = Counter(row[0] for row in self.records.rows(_REFERENCES))
        for number, digest, size, payload in self.records.rows(query):
            content = bytes(payload)
            if len(content) != size or _digest_of([content], bytes(digest)) != bytes(digest):
                yield f"I2: manifest {number} has another payload than its row says"
            named = _descriptors(json.loads(content))
            if len(named) != references[number]:
                yield (
                    f"I2: manifest {number} names {len(named)} parts, "
                    f"{references[number]} are recorded"
                )

    def _broken_references(self) -> Iterator[str]:
        for row in self.records.rows(_REFERENCES):
            manifest, role, digest, size, blob, blob_size, child, child_size, *facts = row
            is_same, linked, arrived = facts
            where = f"I2: a {role} of manifest {manifest}"
            if role in ("config", "layer"):
                if blob is None or bytes(blob) != bytes(digest) or blob_size != size:
                    yield f"{where} does not lead to its blob"
                elif not linked:
                    yield f"{where} leads to a blob that its repository may not serve"
            elif (
                role == "child"
                and child is not None
                and (bytes(child) != bytes(digest) or child_size != size or not is_same)
            ):
                yield f"{where} does not lead to its manifest"
            elif role == "child" and child is None and arrived:
                yield f"{where} waits for a manifest that is there"

    def _broken_keys(self) -> Iterator[str]:
        rows = self.records.rows("SELECT storage_key, digest FROM blobs_blob")
        blobs = {key: bytes(digest) for key, digest in rows}
        for key, digest in blobs.items():
            if self._owners.setdefault(key, digest) != digest:
                yield f"I4: the key {key} belonged to another blob before"
        uploads = self.records.rows("SELECT storage_key, committed_digest FROM blobs_upload")
        for key, committed in uploads:
            if key in blobs and (committed is None or bytes(committed) != blobs[key]):
                yield f"I4: the key {key} of a blob belongs to another upload"
        taken = Counter([*blobs, *(key for key, _ in uploads if key not in blobs)])
        yield from (
            f"I4: {count} rows have the key {key}" for key, count in taken.items() if count > 1
        )

    def _broken_tags(self) -> Iterator[str]:
        live: Counter[tuple[int, str]] = Counter()
        newest_is_live: dict[tuple[int, str], bool] = {}
        for (
            number,
            repository,
            name,
            digest,
            is_live,
            manifest,
            owner,
            backwards,
        ) in self.records.rows(_TAGS):
            if backwards:
                yield f"I5: tag {number} ended before it began"
            newest_is_live[repository, name] = is_live
            if not is_live:
                continue
            live[repository, name] += 1
            if manifest is None or bytes(manifest) != bytes(digest) or owner != repository:
                yield f"I5: tag {name} ({number}) does not lead to its manifest"
        yield from (
            f"I5: {name} is live {count} times" for (_, name), count in live.items() if count > 1
        )
        yield from (
            f"I5: {name} is live in an old row, not in its newest"
            for repository, name in live
            if not newest_is_live[repository, name]
        )

    def _broken_usage(self) -> Iterator[str]:
        for project, contents in self.records.rows(_MISCOUNTED):
            yield f"I6: {contents} contents of project {project} are miscounted"
        for project, used, held in self.records.rows(_USAGE):
            if used != held:
                yield f"I6: project {project} holds {held} bytes, {used} are counted"


def _digest_of(pieces: Iterable[bytes], like: bytes) -> bytes:
    """Hash with the algorithm of a stored digest, in the form in which digests are stored."""
    running = hashlib.new(_ALGORITHMS[like[0]])
    for piece in pieces:
        running.update(piece)
    return like[:1] + running.digest()


def _descriptors(document: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [*document.get("layers", ()), *document.get("manifests", ())]
    if "config" in document:
        parts.append(document["config"])
    return parts
