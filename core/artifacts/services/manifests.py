"""Pushing manifests, and deleting one as registry clients do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from core.artifacts import rules
from core.artifacts.errors import ContentInUse
from core.artifacts.events import ArtifactPushed, TagMoved
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.rules import FoundContent, ResolvedReference, StatedLife
from core.artifacts.services import history, waiting
from core.artifacts.services.belongings import Belongings
from core.artifacts.services.deleting import (
    delete_manifests_locked,
    find_parent_alone,
    reserve_manifest_locked,
)
from core.artifacts.services.history import LiveTag
from core.artifacts.services.repositories import (
    obtain_repository_locked,
    touch_repository_locked,
)
from core.artifacts.types import PendingWrite, PushedManifest, TagEnd
from core.audit import services as audit
from core.audit.types import AuditRecord
from core.common import clock, failpoints
from core.database import raw
from core.database.statements import Statement
from core.database.transactions import durable_write
from core.events.services import publish
from core.oci.digest import Digest
from core.oci.entity_tags import EntityTags, parse_entity_tags
from core.oci.manifest import ParsedManifest, ReferenceRole, parse_manifest
from core.oci.media_types import IMAGE_CONFIG_TYPES
from core.rbac.types import Actor

# Rows are locked in the order of the sort, and for as long as the push takes: a blob or child
# that was found here cannot leave the repository before the push has referred to it.
#
# Blobs are looked for under every digest, because some indexes list plain blobs. Each row is looked
# up by itself: a join might read all blobs or manifests of the repository instead.
_SHARE_CONTENT = Statement(
    "content_share",
    """
WITH known AS MATERIALIZED (
     SELECT b.id
       FROM (SELECT DISTINCT unnest($2::bytea[]) AS digest) asked
      CROSS JOIN LATERAL (SELECT id FROM blobs_blob WHERE digest = asked.digest LIMIT 1) b
      ORDER BY b.id),
     blobs AS MATERIALIZED (
     SELECT b.digest, b.id, b.size_bytes
       FROM known
      CROSS JOIN LATERAL
            (SELECT FROM artifacts_repositoryblob
              WHERE repository_id = $1 AND blob_id = known.id LIMIT 1 FOR KEY SHARE) l
      CROSS JOIN LATERAL
            (SELECT digest, id, size_bytes FROM blobs_blob
              WHERE id = known.id LIMIT 1 FOR KEY SHARE) b),
     listed AS MATERIALIZED (
     SELECT m.id
       FROM (SELECT DISTINCT unnest($3::bytea[]) AS digest) asked
      CROSS JOIN LATERAL
            (SELECT id FROM artifacts_manifest
              WHERE repository_id = $1 AND digest = asked.digest LIMIT 1) m
      ORDER BY m.id),
     children AS MATERIALIZED (
     SELECT m.digest, m.id, m.size_bytes, m.total_bytes
       FROM listed
      CROSS JOIN LATERAL
            (SELECT digest, id, size_bytes, total_bytes FROM artifacts_manifest
              WHERE id = listed.id LIMIT 1 FOR KEY SHARE) m)
SELECT digest, id, NULL::bigint, size_bytes, size_bytes FROM blobs
 UNION ALL
SELECT digest, NULL, id, size_bytes, total_bytes FROM children
""",
)

# ``xmax`` is zero in a row that this statement inserted. The last column tells whether an index
# waits for the manifest; one that states another size waits on, it was wrong from the beginning.
_STORE = Statement(
    "manifest_store",
    """
INSERT INTO artifacts_manifest AS stored
       (repository_id, digest, media_type, artifact_type, config_media_type, size_bytes,
        payload, subject, annotations, total_bytes, pushed_at, pushed_by, touched_at,
        may_be_tagged)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $13)
ON CONFLICT (repository_id, digest) DO UPDATE
   SET touched_at = excluded.touched_at,
       may_be_tagged = stored.may_be_tagged OR excluded.may_be_tagged
RETURNING id, xmax = 0, extra_attrs IS NOT NULL, tag_life, (
       SELECT true FROM artifacts_manifestreference waiting
        CROSS JOIN LATERAL
              (SELECT repository_id FROM artifacts_manifest
                WHERE id = waiting.parent_id LIMIT 1) parent
        WHERE parent.repository_id = stored.repository_id AND waiting.digest = stored.digest
          AND waiting.size_bytes = stored.size_bytes AND waiting.role = 'child'
          AND waiting.blob_id IS NULL AND waiting.child_id IS NULL LIMIT 1) IS NOT NULL
""",
)

# In the order of children, whose rows a trigger marks one by one.
_STORE_REFERENCES = Statement(
    "manifest_store_references",
    """
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, platform, annotations,
        blob_id, child_id)
SELECT $1::bigint, position, role, digest, size_bytes, media_type, platform::jsonb,
       annotations::jsonb, blob_id, child_id
  FROM unnest($2::int[], $3::text[], $4::bytea[], $5::bigint[], $6::text[], $7::text[],
              $8::text[], $9::bigint[], $10::bigint[])
       AS reference(position, role, digest, size_bytes, media_type, platform, annotations,
                    blob_id, child_id)
 ORDER BY child_id, position
""",
)

_TOUCH = """
UPDATE artifacts_manifest SET touched_at = greatest(touched_at, %s) WHERE id = %s
"""


@dataclass(frozen=True, slots=True)
class Push:
    """Everything of a push that is known before the database is asked.

    A manifest that ``is_restored`` was in the repository before, with all the gaps it has, and
    ``ends`` are those that its tags had.
    """

    repository_name: str
    project_id: int
    payload: bytes
    parsed: ParsedManifest
    digest: Digest
    tags: tuple[str, ...]
    if_match: EntityTags | None
    if_none_match: EntityTags | None
    is_by_tag: bool
    actor: Actor
    now: datetime
    alone: bool = False
    is_restored: bool = False
    ends: Mapping[str, TagEnd] = field(default_factory=dict)

    @property
    def subject(self) -> Digest | None:
        """The digest of the manifest that this one is about."""
        return self.parsed.subject.digest if self.parsed.subject else None

    @property
    def project_name(self) -> str:
        """The name's first component."""
        return self.repository_name.partition("/")[0]


class _Stored(NamedTuple):
    """The row of a pushed manifest, new or not; whether its configuration was read, and said."""

    id: int
    is_new: bool
    is_read: bool
    tag_life: timedelta | None
    is_awaited: bool


def push_manifest(
    repository_name: str,
    *,
    project_id: int,
    payload: bytes,
    content_type: str | None,
    reference: Digest | str,
    extra_tags: Sequence[str] = (),
    if_match: str | None = None,
    if_none_match: str | None = None,
    actor: Actor,
) -> PushedManifest:
    """Store a manifest byte for byte and let its tags point at it, all or nothing.

    ``extra_tags`` count when ``reference`` is a digest. ``if_match`` and ``if_none_match``
    are the headers, compared with what the reference names now. Pushing again what is there
    changes nothing but tags that point elsewhere. Children of an index may arrive after it, and
    blobs after their manifest where the settings allow it. Raises ManifestInvalid,
    ManifestTooLarge, DigestMismatch, TagInvalid, EntityTagsInvalid, ManifestBlobUnknown with
    every missing digest, PreconditionFailed, NameUnknown when the project is gone, and what
    gatekeepers raise (distribution-spec, "Pushing Manifests").
    """
    push = Push(
        repository_name=repository_name,
        project_id=project_id,
        payload=payload,
        parsed=parse_manifest(payload, content_type),
        digest=rules.pushed_digest(payload, reference),
        tags=rules.pushed_tags(reference, extra_tags),
        if_match=None if if_match is None else parse_entity_tags(if_match),
        if_none_match=None if if_none_match is None else parse_entity_tags(if_none_match),
        is_by_tag=isinstance(reference, str),
        actor=actor,
        now=clock.now(),
    )
    try:
        pushed = _store_push(push)
    except waiting.MustRunAlone:
        pushed = _store_push(replace(push, alone=True))
    failpoints.reach("manifest.push.after_transaction")
    return pushed


@durable_write
def _store_push(push: Push) -> PushedManifest:
    pushed = store_push_locked(push)
    failpoints.reach("manifest.push.in_transaction")
    return pushed


def store_push_locked(push: Push) -> PushedManifest:
    """Do what ``push_manifest`` says inside the caller's transaction.

    Raises the same, and MustRunAlone when the push has to be done again with ``alone`` set.
    """
    repository_id = obtain_repository_locked(
        push.repository_name,
        project_id=push.project_id,
        actor=push.actor,
        now=push.now,
        alone=push.alone,
    )
    resolved = _resolve_locked(push, repository_id)
    total_bytes = rules.total_bytes(len(push.payload), resolved)
    stored = _store_manifest(push, repository_id, total_bytes)
    manifest_id, created, is_awaited = stored.id, stored.is_new, stored.is_awaited
    if is_awaited or (created and any(item.is_waiting for item in resolved)):
        waiting.require_alone(push.alone)
    if created:
        # Before tags are locked: children are marked as such, and their rows come before tags.
        _store_references(manifest_id, resolved)
    live = history.lock_tags(repository_id, push.tags)
    # Read after the locks: the instants of a tag's history stand in the order of its ids.
    now = clock.now()
    rules.require_precondition(
        push.if_match, push.if_none_match, _current_digest(push, live, created=created)
    )
    moved = {tag.name: tag for tag in live.values() if tag.digest != push.digest}
    changed = [name for name in push.tags if name not in live or name in moved]
    ask_gatekeepers(_pending(push, repository_id, moved, total_bytes))
    if is_awaited:
        waiting.bind_child_alone(
            repository_id, manifest_id, push.digest, len(push.payload), total_bytes
        )
    ignored_life = _set_tags(push, repository_id, stored, changed, moved, now=now)
    pushed = PushedManifest(
        id=manifest_id,
        repository_id=repository_id,
        digest=push.digest,
        subject=push.subject,
        tags=push.tags,
        created=created,
    )
    _announce_push(push, pushed, changed, moved, ignored_life)
    touch_repository_locked(repository_id, now)
    return pushed


def _pending(
    push: Push, repository_id: int, moved: dict[str, LiveTag], total_bytes: int
) -> PendingWrite:
    return PendingWrite(
        action="manifest.push",
        actor=push.actor,
        project_id=push.project_id,
        repository_id=repository_id,
        repository_name=push.repository_name,
        digest=push.digest,
        tags=push.tags,
        moved_tags={name: tag.digest for name, tag in moved.items()},
        size_bytes=total_bytes,
    )


def _set_tags(
    push: Push,
    repository_id: int,
    stored: _Stored,
    changed: Sequence[str],
    moved: dict[str, LiveTag],
    *,
    now: datetime,
) -> str:
    """Let the tags point at the manifest; return what was ignored of how long they live."""
    history.end_tags(moved.values(), ended_by=push.actor.label, now=now)
    ends: Mapping[TagEnd, Sequence[str]] = {}
    ignored = ""
    if push.is_restored:
        ends = _restored_ends(push, stored, changed, now)
    elif changed:
        stated, awaits_life = _life_of_tags(push, stored)
        ignored = stated.ignored
        ends = {TagEnd(None if stated.life is None else now + stated.life, awaits_life): changed}
    for end, names in ends.items():
        history.begin_tags(
            names,
            repository_id=repository_id,
            manifest_id=stored.id,
            digest=push.digest,
            started_by=push.actor.label,
            now=now,
            end=end,
        )
    return ignored


def _resolve_locked(push: Push, repository_id: int) -> tuple[ResolvedReference, ...]:
    references = push.parsed.references
    children = [item.digest for item in references if item.role is ReferenceRole.CHILD]
    found = _SHARE_CONTENT.fetch_all(
        repository_id,
        [item.digest.to_bytes() for item in references],
        [digest.to_bytes() for digest in children],
    )
    blobs: dict[Digest, FoundContent] = {}
    manifests: dict[Digest, FoundContent] = {}
    for digest, *fields in found:
        content = FoundContent(*fields)
        contents = manifests if content.blob_id is None else blobs
        contents[Digest.from_bytes(bytes(digest))] = content
    return rules.resolve_references(
        references,
        blobs,
        manifests,
        accept_missing_blobs=push.is_restored or settings.ROADSTEAD.limits.accepts_missing_blobs,
    )


def _life_of_tags(push: Push, stored: _Stored) -> tuple[StatedLife, bool]:
    """Return how long changed tags live, and whether the configuration may yet say so.

    Raises ManifestInvalid when our annotation cannot be read.
    """
    stated = rules.life_by_annotations(push.parsed.annotations)
    if stated.life is not None:
        return stated, False
    if stored.is_read:
        return StatedLife(stored.tag_life, stated.ignored), False
    return stated, push.parsed.config_media_type in IMAGE_CONFIG_TYPES


def _restored_ends(
    push: Push, stored: _Stored, changed: Sequence[str], now: datetime
) -> dict[TagEnd, list[str]]:
    """Return the tags by their ends; a life that was not known begins now, if it is by now."""
    names: dict[TagEnd, list[str]] = {}
    for name in changed:
        end = push.ends.get(name, TagEnd())
        if end.awaits_life and stored.is_read:
            end = TagEnd(None if stored.tag_life is None else now + stored.tag_life)
        names.setdefault(end, []).append(name)
    return names


def _store_manifest(push: Push, repository_id: int, total_bytes: int) -> _Stored:
    """Store the manifest, whose row is ours until the commit; an index may wait for it."""
    parsed, subject = push.parsed, push.subject
    row = _STORE.fetch_one(
        repository_id,
        push.digest.to_bytes(),
        parsed.media_type,
        parsed.artifact_type,
        parsed.config_media_type,
        len(push.payload),
        push.payload,
        subject.to_bytes() if subject else None,
        json.dumps(dict(parsed.annotations)),
        total_bytes,
        push.now,
        push.actor.label,
        bool(push.tags),
    )
    if row is None:
        raise AssertionError("An insert that updates on conflict returns its row.")
    return _Stored(*row)


def _store_references(manifest_id: int, resolved: Sequence[ResolvedReference]) -> None:
    if not resolved:
        return
    descriptors = [item.reference.descriptor for item in resolved]
    contents = [item.content for item in resolved]
    _STORE_REFERENCES.execute_later(
        manifest_id,
        list(range(len(resolved))),
        [str(item.role) for item in resolved],
        [descriptor.digest.to_bytes() for descriptor in descriptors],
        [descriptor.size for descriptor in descriptors],
        [descriptor.media_type for descriptor in descriptors],
        [json.dumps(d.platform) if d.platform is not None else None for d in descriptors],
        [json.dumps(dict(d.annotations)) if d.annotations else None for d in descriptors],
        [content.blob_id if content else None for content in contents],
        [content.manifest_id if content else None for content in contents],
    )


def _current_digest(push: Push, live: dict[str, LiveTag], *, created: bool) -> Digest | None:
    """Return the digest that the reference of the push names now."""
    if push.is_by_tag:
        return live[push.tags[0]].digest if push.tags[0] in live else None
    return None if created else push.digest


def _announce_push(
    push: Push,
    pushed: PushedManifest,
    changed: Sequence[str],
    moved: dict[str, LiveTag],
    ignored_life: str,
) -> None:
    """Record the push and each tag it changed; announce only what is new."""
    records = []
    if pushed.created or not push.is_restored:
        records.append(
            _record(
                "artifact.restored" if push.is_restored else "artifact.pushed",
                push,
                target_kind="artifact",
                target_label=f"{push.repository_name}@{push.digest}",
                target_id=str(pushed.id),
                detail={"digest": str(push.digest), "tags": list(push.tags)},
            )
        )
    where = (pushed.repository_id, push.repository_name, push.project_id)
    if pushed.created:
        publish(ArtifactPushed(*where, pushed.id, str(push.digest), push.tags, push.actor.label))
    for name in changed:
        old = str(moved[name].digest) if name in moved else None
        records.append(
            _record(
                "tag.created" if old is None else "tag.moved",
                push,
                target_kind="tag",
                target_label=f"{push.repository_name}:{name}",
                detail={"digest": str(push.digest), "old_digest": old},
            )
        )
        publish(TagMoved(*where, name, old, str(push.digest), push.actor.label))
    if ignored_life:
        records.append(
            _record(
                "tag.expiry.ignored",
                push,
                target_kind="artifact",
                target_label=f"{push.repository_name}@{push.digest}",
                target_id=str(pushed.id),
                detail={"ignored": ignored_life, "tags": list(changed)},
            )
        )
    audit.write(records)


def _record(
    action: str,
    push: Push,
    *,
    target_kind: str,
    target_label: str,
    target_id: str = "",
    detail: dict[str, object],
) -> AuditRecord:
    return AuditRecord(
        action=action,
        actor=push.actor,
        target_kind=target_kind,
        target_label=target_label,
        target_id=target_id,
        project_id=push.project_id,
        project_name=push.project_name,
        detail=detail,
    )


def touch_manifest(manifest_id: int, *, now: datetime | None = None) -> bool:
    """Keep a manifest, though no tag may name it, for a pusher who is told that it is there.

    False when it was deleted meanwhile: it must be answered as unknown.
    """
    return bool(raw.execute(_TOUCH, (now or clock.now(), manifest_id)))


@durable_write
def delete_manifest(
    repository_name: str, digest: Digest, *, if_match: str | None = None, actor: Actor
) -> tuple[str, ...]:
    """Delete a manifest and every tag that points at it (distribution-spec, end-9).

    Returns the tags. All can be restored from the trash. Manifests about it stay. Raises
    NameUnknown, ManifestUnknown, PreconditionFailed when the header ``if_match`` does not name
    it, EntityTagsInvalid, and ContentInUse while an index of the repository lists it.
    """
    wanted = None if if_match is None else parse_entity_tags(if_match)
    manifest = reserve_manifest_locked(repository_name, digest)
    rules.require_precondition(wanted, None, digest)
    parent = find_parent_alone(manifest)
    if parent is not None:
        raise ContentInUse(f"The manifest is referenced by index {parent}.")
    return delete_manifests_locked(manifest, Belongings(), actor=actor).tags
