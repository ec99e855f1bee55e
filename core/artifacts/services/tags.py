"""Tags that are set or deleted without a push."""

from core.artifacts import rules
from core.artifacts.errors import ManifestUnknown, PreconditionFailed, TagExists
from core.artifacts.events import TagDeleted, TagMoved
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.services import history
from core.artifacts.services.discarding import discard_tag_locked
from core.artifacts.services.history import LiveTag
from core.artifacts.services.repositories import (
    share_repository_locked,
    touch_repository_locked,
)
from core.artifacts.types import PendingWrite, Place
from core.audit import services as audit
from core.common import clock
from core.database import raw
from core.database.transactions import durable_write
from core.events.services import publish
from core.oci.digest import Digest
from core.oci.entity_tags import parse_entity_tags
from core.oci.reference import parse_tag
from core.rbac.types import Actor

_FIND_MANIFEST = "SELECT id FROM artifacts_manifest WHERE repository_id = %s AND digest = %s"
_SHARE_MANIFEST = f"{_FIND_MANIFEST} FOR KEY SHARE"
_HOLD_MANIFEST = f"{_FIND_MANIFEST} FOR NO KEY UPDATE"


def share_manifest_locked(repository_id: int, digest: Digest) -> int:
    """Return the manifest's id, kept from deletion until the commit. Raises ManifestUnknown."""
    return _lock_manifest(_SHARE_MANIFEST, repository_id, digest)


def _lock_manifest(statement: str, repository_id: int, digest: Digest) -> int:
    found = raw.fetch_one(statement, (repository_id, digest.to_bytes()))
    if found is None:
        raise ManifestUnknown
    return int(found[0])


@durable_write
def create_tag(repository_name: str, digest: Digest, name: str, *, actor: Actor) -> None:
    """Let a new tag point at a manifest.

    Raises TagInvalid, NameUnknown, ManifestUnknown, and TagExists for a live tag, wherever
    it points.
    """
    tag = parse_tag(name)
    repository_id, project_id = share_repository_locked(repository_name)
    # Not only shared: its row is marked as one that may have tags, and comes before tags.
    manifest_id = _lock_manifest(_HOLD_MANIFEST, repository_id, digest)
    if history.lock_tags(repository_id, [tag]):
        raise TagExists
    now = clock.now()
    ask_gatekeepers(
        PendingWrite(
            action="tag.create",
            actor=actor,
            project_id=project_id,
            repository_id=repository_id,
            repository_name=repository_name,
            digest=digest,
            tags=(tag,),
        )
    )
    history.begin_tags(
        [tag],
        repository_id=repository_id,
        manifest_id=manifest_id,
        digest=digest,
        started_by=actor.label,
        now=now,
    )
    _record("tag.created", actor, repository_name, project_id, tag, digest)
    publish(
        TagMoved(repository_id, repository_name, project_id, tag, None, str(digest), actor.label)
    )
    touch_repository_locked(repository_id, now)


@durable_write
def delete_tag(
    repository_name: str,
    tag: str,
    *,
    expected: Digest | None = None,
    if_match: str | None = None,
    actor: Actor,
) -> None:
    """End a tag; the manifest stays, and so does the tag's history (distribution-spec, end-9).

    The tag can be restored from the trash. Raises NameUnknown, ManifestUnknown when there is no
    such live tag, PreconditionFailed when it does not point at the ``expected`` manifest, or at
    none that the header ``if_match`` names, and EntityTagsInvalid.
    """
    wanted = None if if_match is None else parse_entity_tags(if_match)
    repository_id, project_id = share_repository_locked(repository_name)
    live = history.lock_tags(repository_id, [tag]).get(tag)
    if live is None:
        raise ManifestUnknown
    if expected not in (None, live.digest):
        raise PreconditionFailed
    rules.require_precondition(wanted, None, live.digest)
    delete_live_tag_locked(Place(repository_name, project_id), repository_id, live, actor=actor)


def ask_about_end_locked(
    action: str, place: Place, repository_id: int, live: LiveTag, *, actor: Actor
) -> None:
    """Ask the gatekeepers whether a locked tag may end. Raises what they raise."""
    ask_gatekeepers(
        PendingWrite(
            action=action,
            actor=actor,
            project_id=place.project_id,
            repository_id=repository_id,
            repository_name=place.repository_name,
            digest=live.digest,
            tags=(live.name,),
            moved_tags={live.name: live.digest},
        )
    )


def delete_live_tag_locked(
    place: Place, repository_id: int, live: LiveTag, *, actor: Actor
) -> None:
    """Do the same with a tag that the caller's transaction has locked."""
    (repository_name, project_id), tag, now = place, live.name, clock.now()
    ask_about_end_locked("tag.delete", place, repository_id, live, actor=actor)
    discard_tag_locked(repository_name, live, project_id=project_id, actor=actor, now=now)
    history.end_tags([live], ended_by=actor.label, now=now)
    _record("tag.deleted", actor, repository_name, project_id, tag, live.digest)
    publish(
        TagDeleted(repository_id, repository_name, project_id, tag, str(live.digest), actor.label)
    )
    touch_repository_locked(repository_id, now)


def _record(
    action: str,
    actor: Actor,
    repository_name: str,
    project_id: int,
    tag: str,
    digest: Digest,
) -> None:
    audit.record(
        action,
        actor,
        target_kind="tag",
        target_label=f"{repository_name}:{tag}",
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={"digest": str(digest)},
    )
