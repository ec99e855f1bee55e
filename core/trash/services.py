"""Restoring what was deleted, and letting go of it.

Locks: the project's row, the repository's, the entry's, and then those of a push. Whoever lets go
of many entries passes by those that somebody holds.
"""

from collections.abc import Sequence
from datetime import datetime

from core.artifacts.errors import ManifestUnknown
from core.artifacts.events import TagMoved
from core.artifacts.models import Repository, TrashEntry
from core.artifacts.pulls import take_usage_back_locked
from core.artifacts.services import history, naming
from core.artifacts.services.discarding import let_go_locked
from core.artifacts.services.repositories import (
    create_repository_locked,
    obtain_repository_locked,
    reserve_repository_locked,
)
from core.artifacts.services.restoring import (
    Restored,
    bring_along_locked,
    bring_back_locked,
    put_labels_back_locked,
)
from core.artifacts.types import Place, TagEnd
from core.audit import services as audit
from core.common.clock import now as current_time
from core.database import raw
from core.database.transactions import durable_write
from core.events.services import publish
from core.grants.services import restore_grants_locked
from core.grants.types import RepositoryGrant
from core.oci.digest import Digest
from core.oci.reference import parse_tag
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.rbac.types import Actor
from core.system_settings.queries import ensure_writable_locked
from core.trash.errors import NameTakenMeanwhile, RestoredTagsInvalid, TrashEntryUnknown
from core.trash.types import LeftOut

_HOLD_PROJECT = "SELECT name FROM projects_project WHERE id = %s FOR KEY SHARE"

_LAST_END = """
SELECT expires_at, awaits_life FROM artifacts_tag
 WHERE repository_id = %s AND name = %s AND digest = %s ORDER BY id DESC LIMIT 1
"""

_KEPT_ENDS = """
SELECT name, expires_at, awaits_life FROM artifacts_trashedtag
 WHERE entry_id = %s AND name = ANY(%s::text[])
"""

# A life that was not known yet begins now, and ends that are over by now do not come back.
_RESTORE_TAGS = """
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_at, ended_by,
        last_pulled_at, expires_at, awaits_life)
SELECT r.id, t.name, CASE WHEN t.ended_at IS NULL THEN m.id END, t.digest,
       CASE WHEN t.ended_at IS NULL AND t.awaits_life THEN r.now ELSE t.started_at END,
       t.started_by, t.ended_at, t.ended_by, t.last_pulled_at,
       CASE WHEN t.ended_at IS NOT NULL OR t.expires_at > r.now THEN t.expires_at END,
       t.awaits_life
  FROM artifacts_trashedtag t
  JOIN (SELECT %s::bigint AS id, %s::timestamptz AS now) AS r ON true
  LEFT JOIN artifacts_manifest m ON m.repository_id = r.id AND m.digest = t.digest
 WHERE t.entry_id = %s ORDER BY t.id
"""

_CLAIM_EXPIRED = """
SELECT id FROM artifacts_trashentry WHERE kept_until <= %s
 ORDER BY kept_until LIMIT %s FOR UPDATE SKIP LOCKED
"""


@durable_write
def restore_entry(
    project: Project, entry_id: int, *, tags: Sequence[str] | None = None, actor: Actor
) -> LeftOut:
    """Bring back what an entry of the trash holds; the entry is gone afterwards.

    ``tags`` chooses among the tags of a deleted manifest; None stands for all. What is there
    again already counts as restored. Returns what does not come back. Raises
    TrashEntryUnknown, NameTakenMeanwhile, RestoredTagsInvalid, ProjectUnknown, and what
    gatekeepers raise.
    """
    held = raw.fetch_one(_HOLD_PROJECT, (project.pk,))
    if held is None:
        raise ProjectUnknown
    now = current_time()
    found = TrashEntry.objects.filter(pk=entry_id, project=project, kept_until__gt=now).first()
    if found is None:
        raise TrashEntryUnknown
    if tags is not None and found.kind != "manifest":
        raise RestoredTagsInvalid
    place = Place(f"{held[0]}/{found.path}", project.pk)
    grants: tuple[RepositoryGrant, ...] = ()
    if found.kind == "repository":
        restored, grants = _restore_repository_locked(place, found, actor, now)
    else:
        restored = _restore_content_locked(place, found, tags, actor, now)
    labelled = sorted({found.pk, *restored.sources})
    labels = put_labels_back_locked(place, labelled)
    left_out = LeftOut(labels, grants, tuple(sorted(restored.endless)))
    let_go_locked({found.pk, *restored.entries})
    _record("trash.entry.restored", found, place.repository_name, actor, left_out)
    return left_out


def _restore_content_locked(
    place: Place,
    entry: TrashEntry,
    tags: Sequence[str] | None,
    actor: Actor,
    now: datetime,
) -> Restored:
    """Restore a tag or a manifest with what went along."""
    repository_id = obtain_repository_locked(
        place.repository_name, project_id=place.project_id, actor=actor, now=now, alone=True
    )
    _lock(entry)
    digest = Digest.from_bytes(bytes(entry.digest or b""))
    if entry.kind == "tag":
        wanted = [entry.tag]
    else:
        own = entry.tags.filter(digest=entry.digest)
        names = list(own.order_by("name").values_list("name", flat=True))
        wanted = names if tags is None else sorted(set(tags))
        if not set(wanted) <= set(names):
            raise RestoredTagsInvalid(
                f"tags: the manifest had {', '.join(names) or 'no tags'}.", detail={"tags": names}
            )
    live = history.lock_tags(repository_id, wanted)
    taken = sorted(name for name, tag in live.items() if tag.digest != digest)
    if taken:
        raise NameTakenMeanwhile(
            f"Another manifest has the tag meanwhile: {', '.join(taken)}.", detail={"tags": taken}
        )
    entry_id = None if entry.kind == "tag" else entry.pk
    ends = dict.fromkeys(wanted, TagEnd())
    for name, *end in raw.fetch_all(_KEPT_ENDS, (entry.pk, wanted)):
        ends[name] = TagEnd(*end)
    restored = bring_back_locked(place, digest, ends, entry_id=entry_id, actor=actor, now=now)
    if entry_id is not None:
        # Also when the manifest is live already.
        restored.entries.add(entry_id)
    return bring_along_locked(place, restored, actor=actor, now=now)


def _restore_repository_locked(
    place: Place, entry: TrashEntry, actor: Actor, now: datetime
) -> tuple[Restored, tuple[RepositoryGrant, ...]]:
    """Restore a repository; return its tags without their end, and grants that do not come back."""
    repository_id = create_repository_locked(
        place.repository_name, project_id=place.project_id, actor=actor, now=now
    )
    if repository_id is None:
        raise NameTakenMeanwhile(f"A repository {place.repository_name} exists meanwhile.")
    _lock(entry)
    Repository.objects.filter(pk=repository_id).update(
        description=entry.description, pull_count=entry.pull_count, created_at=entry.created_at
    )
    for manifest in entry.manifests.order_by("id").only("digest").iterator():
        digest = Digest.from_bytes(bytes(manifest.digest))
        bring_back_locked(place, digest, {}, entry_id=entry.pk, actor=actor, now=now)
    raw.execute(_RESTORE_TAGS, (repository_id, now, entry.pk))
    naming.lead_to_restored_locked(repository_id, entry.pk)
    take_usage_back_locked(repository_id, entry.pk)
    where = (repository_id, place.repository_name, place.project_id)
    restored = Restored()
    for tag in entry.tags.filter(ended_at=None).order_by("name"):
        digest = Digest.from_bytes(bytes(tag.digest))
        publish(TagMoved(*where, tag.name, None, str(digest), actor.label))
        if tag.expires_at is not None and tag.expires_at <= now:
            restored.endless.add(tag.name)
    return restored, restore_grants_locked(repository_id, entry.pk, actor=actor)


@durable_write
def restore_tag(repository_name: str, name: str, digest: Digest, *, actor: Actor) -> LeftOut:
    """Let a tag name again what it named before, live or in the trash; children come along.

    It has the end that it had then. Returns what does not come back. Raises TagInvalid,
    NameUnknown, ManifestUnknown when the tag never named the digest or the manifest is gone for
    good, and what gatekeepers raise.
    """
    tag = parse_tag(name)
    repository_id, project_id = reserve_repository_locked(repository_name)
    end = raw.fetch_one(_LAST_END, (repository_id, tag, digest.to_bytes()))
    if end is None:
        raise ManifestUnknown(f"The tag {tag} never named {digest}.")
    place = Place(repository_name, project_id)
    now = current_time()
    ends = {tag: TagEnd(*end)}
    restored = bring_back_locked(place, digest, ends, actor=actor, now=now)
    restored = bring_along_locked(place, restored, actor=actor, now=now)
    labels = put_labels_back_locked(place, sorted(restored.sources))
    left_out = LeftOut(labels, ends=tuple(sorted(restored.endless)))
    let_go_locked(restored.entries)
    return left_out


@durable_write
def delete_entry(project: Project, entry_id: int, *, actor: Actor) -> None:
    """Let go of an entry before its time. Raises TrashEntryUnknown."""
    ensure_writable_locked()
    entry = TrashEntry.objects.select_for_update().filter(pk=entry_id, project=project).first()
    if entry is None:
        raise TrashEntryUnknown
    let_go_locked([entry.pk])
    _record("trash.entry.deleted", entry, f"{project.name}/{entry.path}", actor)


@durable_write
def empty_trash(project: Project, *, actor: Actor) -> int:
    """Let go of everything in a project's trash; return how many entries that were.

    Entries that somebody restores at this moment are left to them: a restoration locks those of
    children as it meets them, and waiting would be mutual.
    """
    ensure_writable_locked()
    entries = TrashEntry.objects.select_for_update(skip_locked=True).filter(project=project)
    ids = list(entries.values_list("pk", flat=True))
    let_go_locked(ids)
    audit.record(
        "trash.emptied",
        actor,
        target_kind="project",
        target_label=project.name,
        target_id=project.pk,
        project_id=project.pk,
        project_name=project.name,
        detail={"entries": len(ids)},
    )
    return len(ids)


@durable_write
def let_go_of_expired(now: datetime, limit: int = 100) -> int:
    """Let go of up to ``limit`` entries whose time is over; return how many."""
    ids = [row[0] for row in raw.fetch_all(_CLAIM_EXPIRED, (now, limit))]
    let_go_locked(ids)
    return len(ids)


def _lock(entry: TrashEntry) -> None:
    """Hold an entry that was found before. Raises TrashEntryUnknown when it is gone."""
    if not TrashEntry.objects.select_for_update().filter(pk=entry.pk).exists():
        raise TrashEntryUnknown


def _record(
    action: str,
    entry: TrashEntry,
    repository_name: str,
    actor: Actor,
    left_out: LeftOut = LeftOut(),  # noqa: B008  # it is immutable
) -> None:
    digest = str(Digest.from_bytes(bytes(entry.digest))) if entry.digest else None
    label = {
        "tag": f"{repository_name}:{entry.tag}",
        "manifest": f"{repository_name}@{digest}",
    }.get(entry.kind, repository_name)
    audit.record(
        action,
        actor,
        target_kind="artifact" if entry.kind == "manifest" else entry.kind,
        target_label=label,
        target_id=entry.pk,
        project_id=entry.project_id,
        project_name=repository_name.partition("/")[0],
        detail={
            "kind": entry.kind,
            "digest": digest,
            **({"labels_left_out": list(left_out.labels)} if left_out.labels else {}),
            **(
                {"grants_left_out": [str(each) for each in left_out.grants]}
                if left_out.grants
                else {}
            ),
            **({"ends_left_out": list(left_out.ends)} if left_out.ends else {}),
        },
    )
