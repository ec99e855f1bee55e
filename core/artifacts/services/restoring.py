"""The way back out of the trash: what was deleted is pushed again, by whoever restores it.

A restored manifest takes the way of a pushed one: gatekeepers are asked, what waits for it is
bound, subscribers hear of it. What nobody has is left waiting, as it was before.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from core.artifacts import rules
from core.artifacts.errors import ManifestUnknown
from core.artifacts.services import history
from core.artifacts.services.blobs import serve_blob_locked
from core.artifacts.services.manifests import Push, store_push_locked
from core.artifacts.services.repositories import obtain_repository_locked
from core.artifacts.types import Place, StoredBlob, TagEnd
from core.database import raw
from core.oci.digest import Digest
from core.oci.manifest import ParsedManifest, ReferenceRole, parse_manifest
from core.rbac.types import Actor

_FIND_LIVE = """
SELECT media_type, payload FROM artifacts_manifest WHERE repository_id = %s AND digest = %s
"""

# The copy of the entry that is asked for, or else the newest of those for single manifests.
# The lock keeps it from the run that lets go of what is over.
_FIND_TRASHED = """
SELECT m.media_type, m.payload, m.entry_id, m.pushed_at, m.pushed_by, m.last_pulled_at,
       m.digest = e.digest
  FROM artifacts_trashedmanifest m JOIN artifacts_trashentry e ON e.id = m.entry_id
 WHERE m.digest = %s AND e.project_id = %s AND e.path = %s AND e.kept_until > %s
   AND (e.kind = 'manifest' OR e.id = %s::bigint)
 ORDER BY e.id = %s DESC NULLS LAST, m.id DESC LIMIT 1 FOR UPDATE OF e
"""

_FIND_BLOBS = """
SELECT b.id, b.digest, b.size_bytes, b.store, b.storage_key
  FROM artifacts_trashedblob k JOIN blobs_blob b ON b.id = k.blob_id
 WHERE k.entry_id = %s AND b.digest = ANY(%s::bytea[])
 ORDER BY b.id FOR KEY SHARE OF b
"""

_BACKDATE = """
UPDATE artifacts_manifest SET pushed_at = %s, pushed_by = %s, last_pulled_at = %s WHERE id = %s
"""

# What an entry keeps beside the manifest whose entry it is, and the tags of that. A tag that names
# something meanwhile stays as it is. Those that follow may name what did not go with the entry.
_KEPT_ALONG = """
SELECT kept.digest FROM artifacts_trashedmanifest kept
  LEFT JOIN artifacts_manifest m ON m.repository_id = %s AND m.digest = kept.digest
 WHERE kept.entry_id = %s AND m.id IS NULL ORDER BY kept.id
"""
_TAGS_KEPT_ALONG = """
SELECT kept.digest, kept.name, kept.expires_at, kept.awaits_life
  FROM artifacts_trashedtag kept
  JOIN artifacts_trashentry e ON e.id = kept.entry_id
  LEFT JOIN artifacts_tag live
         ON live.repository_id = %s AND live.name = kept.name AND live.ended_at IS NULL
 WHERE e.id = %s AND kept.digest <> e.digest AND live.id IS NULL
 ORDER BY kept.name
"""

_SHARE_LABELS = """
SELECT id FROM labels_label
 WHERE id IN (SELECT label_id FROM artifacts_trashedlabel WHERE entry_id = ANY(%s::bigint[]))
   AND (project_id IS NULL OR project_id = %s)
 ORDER BY id FOR KEY SHARE
"""

_PUT_LABELS = """
INSERT INTO artifacts_manifestlabel (manifest_id, label_id)
SELECT DISTINCT m.id, kept.label_id
  FROM artifacts_trashedlabel kept
  JOIN artifacts_repository r ON r.name = %s
  JOIN artifacts_manifest m ON m.repository_id = r.id AND m.digest = kept.digest
 WHERE kept.entry_id = ANY(%s::bigint[]) AND kept.label_id = ANY(%s::bigint[])
ON CONFLICT (manifest_id, label_id) DO NOTHING
"""

_LEFT_OUT = """
SELECT DISTINCT name FROM artifacts_trashedlabel
 WHERE entry_id = ANY(%s::bigint[]) AND label_id <> ALL(%s::bigint[]) ORDER BY name
"""


class _Copy(NamedTuple):
    """A manifest of the trash, or of the repository itself when it has no ``entry_id``.

    ``is_of_own_entry`` says that the entry is its own, and not that of what it went along with.
    """

    media_type: str
    payload: bytes
    entry_id: int | None = None
    pushed_at: datetime | None = None
    pushed_by: str = ""
    last_pulled_at: datetime | None = None
    is_of_own_entry: bool | None = False

    @classmethod
    def of(cls, row: raw.Row) -> "_Copy":
        media_type, payload, *rest = row
        return cls(media_type, bytes(payload), *rest)

    @property
    def parsed(self) -> ParsedManifest:
        return parse_manifest(self.payload, self.media_type)


@dataclass(frozen=True, slots=True)
class Restored:
    """From which entries manifests came back, and whose own manifest is among these.

    What went along with an entry's own manifest may come back without it, and the entry stays.
    ``endless`` are the tags that came back without their end, because it was over.
    """

    sources: set[int] = field(default_factory=set)
    entries: set[int] = field(default_factory=set)
    endless: set[str] = field(default_factory=set)


def bring_back_locked(
    place: Place,
    digest: Digest,
    tags: Mapping[str, TagEnd],
    *,
    entry_id: int | None = None,
    actor: Actor,
    now: datetime,
) -> Restored:
    """Let tags point at a manifest that the repository has, or has in the trash.

    They have their ends, but for those that are over: a tag that ends again at once helps nobody.
    Children of an index that are in the trash come along. Copies of the entry with ``entry_id``
    come first; those of deleted repositories count there only. Raises ManifestUnknown when there
    is none, and what ``push_manifest`` raises.
    """
    repository_id = obtain_repository_locked(
        place.repository_name, project_id=place.project_id, actor=actor, now=now, alone=True
    )

    def find(wanted: Digest) -> _Copy | None:
        live = raw.fetch_one(_FIND_LIVE, (repository_id, wanted.to_bytes()))
        return _Copy.of(live) if live else _find_trashed(place, wanted, entry_id, now)

    copy = find(digest)
    if copy is None:
        raise ManifestUnknown(f"Neither the repository nor its trash has {digest}.")
    if copy.entry_id is None and not tags:
        return Restored()
    restored = Restored()
    # Children first. Those that are live need nothing, and so end the descent.
    waiting, seen = [(digest, copy, False)], {digest}
    while waiting:
        current, found, is_ready = waiting.pop()
        if is_ready or found.entry_id is None:
            ends = tags if current == digest else {}
            restored.endless.update(
                _push_again_locked(place, repository_id, current, found, ends, actor, now)
            )
            if found.entry_id is not None:
                restored.sources.add(found.entry_id)
            if found.entry_id is not None and found.is_of_own_entry:
                restored.entries.add(found.entry_id)
            continue
        waiting.append((current, found, True))
        for child in _children(found):
            below = None if child in seen else find(child)
            seen.add(child)
            if below is not None and below.entry_id is not None:
                waiting.append((child, below, False))
    return restored


def bring_along_locked(
    place: Place, restored: Restored, *, actor: Actor, now: datetime
) -> Restored:
    """Bring back what else is in the entries whose own manifest is back: nothing of it is lost.

    Tags by which it is about something come back, too, unless they name something else meanwhile.
    Returns all that came back. Its entries are used up then.
    """
    repository_id = obtain_repository_locked(
        place.repository_name, project_id=place.project_id, actor=actor, now=now, alone=True
    )
    whole = Restored(sources=set(restored.sources), endless=set(restored.endless))
    waiting = list(restored.entries)
    while waiting:
        entry_id = waiting.pop()
        if entry_id in whole.entries:
            continue
        whole.entries.add(entry_id)
        kept: dict[Digest, dict[str, TagEnd]] = {
            Digest.from_bytes(bytes(row[0])): {}
            for row in raw.fetch_all(_KEPT_ALONG, (repository_id, entry_id))
        }
        for stored, name, *end in raw.fetch_all(_TAGS_KEPT_ALONG, (repository_id, entry_id)):
            kept.setdefault(Digest.from_bytes(bytes(stored)), {})[name] = TagEnd(*end)
        for digest, ends in kept.items():
            # A tag may have named what stayed then, and has gone since.
            with suppress(ManifestUnknown):
                more = bring_back_locked(
                    place, digest, ends, entry_id=entry_id, actor=actor, now=now
                )
                waiting += more.entries
                whole.sources.update(more.sources)
                whole.endless.update(more.endless)
    return Restored(whole.sources | whole.entries, whole.entries, whole.endless)


def put_labels_back_locked(place: Place, entry_ids: Sequence[int]) -> tuple[str, ...]:
    """Put the labels that entries keep on the manifests that came back, or are there again.

    Returns the names of those that were deleted meanwhile, or belong to a project in which the
    repository no longer is. The caller holds off every other write into the repository.
    """
    ids = list(entry_ids)
    rows = raw.fetch_all(_SHARE_LABELS, (ids, place.project_id))
    found = [row[0] for row in rows]
    raw.execute(_PUT_LABELS, (place.repository_name, ids, found))
    return tuple(row[0] for row in raw.fetch_all(_LEFT_OUT, (ids, found)))


def _find_trashed(
    place: Place, digest: Digest, entry_id: int | None, now: datetime
) -> _Copy | None:
    path = place.repository_name.partition("/")[2]
    row = raw.fetch_one(
        _FIND_TRASHED, (digest.to_bytes(), place.project_id, path, now, entry_id, entry_id)
    )
    return None if row is None else _Copy.of(row)


def _is_over(end: TagEnd, now: datetime) -> bool:
    return end.expires_at is not None and end.expires_at <= now


def _children(copy: _Copy) -> list[Digest]:
    references = copy.parsed.references
    return [item.digest for item in references if item.role is ReferenceRole.CHILD]


def _push_again_locked(
    place: Place,
    repository_id: int,
    digest: Digest,
    copy: _Copy,
    tags: Mapping[str, TagEnd],
    actor: Actor,
    now: datetime,
) -> set[str]:
    """Push a manifest with its tags; return those whose end is over, unless they are there."""
    parsed = copy.parsed
    over = {name for name, end in tags.items() if _is_over(end, now)}
    live = history.lock_tags(repository_id, sorted(over))
    if copy.entry_id is not None:
        digests = [item.digest.to_bytes() for item in parsed.references]
        for row in raw.fetch_all(_FIND_BLOBS, (copy.entry_id, digests)):
            blob_digest = Digest.from_bytes(bytes(row[1]))
            blob = StoredBlob(row[0], blob_digest, row[2], row[3], row[4], now)
            leased_until = now + rules.LEASE_AFTER_DELETE
            serve_blob_locked(repository_id, blob, leased_until=leased_until, actor=actor)
    pushed = store_push_locked(
        Push(
            repository_name=place.repository_name,
            project_id=place.project_id,
            payload=copy.payload,
            parsed=parsed,
            digest=digest,
            tags=tuple(sorted(tags)),
            if_match=None,
            if_none_match=None,
            is_by_tag=False,
            actor=actor,
            now=now,
            alone=True,
            is_restored=True,
            ends={name: end for name, end in tags.items() if name not in over},
        )
    )
    if pushed.created and copy.pushed_at is not None:
        backdated = (copy.pushed_at, copy.pushed_by, copy.last_pulled_at, pushed.id)
        raw.execute(_BACKDATE, backdated)
    return {name for name in over if name not in live or live[name].digest != digest}
