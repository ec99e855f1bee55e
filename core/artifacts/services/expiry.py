"""Tags that end by themselves, into the trash."""

from collections.abc import Mapping
from datetime import datetime

import structlog

from core.artifacts import rules
from core.artifacts.errors import ManifestUnknown
from core.artifacts.services import history
from core.artifacts.services.repositories import share_repository_locked
from core.artifacts.services.tags import ask_about_end_locked, delete_live_tag_locked
from core.artifacts.types import Place
from core.audit import services as audit
from core.common import clock
from core.common.errors import DomainError
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.system_settings.queries import ensure_writable_locked

log = structlog.get_logger(__name__)

_SET = "UPDATE artifacts_tag SET expires_at = %s, awaits_life = false WHERE id = %s"

# In the order in which pushes lock tags.
_LOCK_AWAITING = """
SELECT id FROM artifacts_tag
 WHERE manifest_id = ANY(%s::bigint[]) AND awaits_life AND ended_at IS NULL
 ORDER BY repository_id, name FOR NO KEY UPDATE
"""

_SET_LIVES = """
UPDATE artifacts_tag AS tag
   SET expires_at = tag.started_at + m.tag_life, awaits_life = false
  FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id
 WHERE tag.id = ANY(%s::bigint[]) AND m.id = tag.manifest_id
RETURNING m.id, tag.name, tag.expires_at, r.name, r.project_id
"""

_FIND_EXPIRED = """
SELECT t.id, r.name, t.name
  FROM artifacts_tag t JOIN artifacts_repository r ON r.id = t.repository_id
 WHERE t.expires_at <= %s AND t.ended_at IS NULL AND t.id > %s
 ORDER BY t.id LIMIT %s
"""

_IS_EXPIRED = "SELECT FROM artifacts_tag WHERE id = %s AND expires_at <= %s"


@durable_write
def set_tag_expiry(
    repository_name: str, tag: str, expires_at: datetime | None, *, actor: Actor
) -> None:
    """Let a live tag end at that time; None lets it live for ever.

    When the tag is moved, the time is that of the push which moves it. What the configuration
    of its artifact says counts no more. Gatekeepers are asked as if the tag ended now: one that
    is immutable would go unseen, the moment its rule does. Raises ExpiryInvalid, NameUnknown,
    ManifestUnknown when there is no such live tag, and what gatekeepers raise.
    """
    ensure_writable_locked()
    if expires_at is not None:
        rules.ensure_in_bounds(expires_at, clock.now())
    repository_id, project_id = share_repository_locked(repository_name)
    live = history.lock_tags(repository_id, [tag]).get(tag)
    if live is None:
        raise ManifestUnknown(f"There is no tag {repository_name}:{tag}.")
    if expires_at is not None:
        place = Place(repository_name, project_id)
        ask_about_end_locked("tag.expire", place, repository_id, live, actor=actor)
    raw.execute(_SET, (expires_at, live.id))
    audit.record(
        "tag.expiry.updated",
        actor,
        target_kind="tag",
        target_label=f"{repository_name}:{tag}",
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={"expires_at": expires_at.isoformat() if expires_at else None},
    )


def set_lives_locked(ignored: Mapping[int, str], *, actor: Actor) -> None:
    """Set the ends of tags that await what the configurations of their manifests say.

    ``ignored`` has all these manifests, whose rows the caller has locked and given their
    ``tag_life``, each with what could not be read.
    """
    tag_ids = [row[0] for row in raw.fetch_all(_LOCK_AWAITING, (list(ignored),))]
    rows = raw.fetch_all(_SET_LIVES, (tag_ids,)) if tag_ids else []
    for manifest_id, tag, expires_at, repository_name, project_id in sorted(rows):
        if expires_at is None and not ignored[manifest_id]:
            continue
        audit.record(
            "tag.expiry.ignored" if expires_at is None else "tag.expiry.updated",
            actor,
            target_kind="tag",
            target_label=f"{repository_name}:{tag}",
            project_id=project_id,
            project_name=repository_name.partition("/")[0],
            detail={"ignored": ignored[manifest_id]}
            if expires_at is None
            else {"expires_at": expires_at.isoformat()},
        )


def end_expired_tags(now: datetime, *, after_id: int, limit: int = 100) -> tuple[int | None, int]:
    """End up to ``limit`` tags that expired before ``now``, by their ids behind ``after_id``.

    Returns the last id, None behind the last one, and how many were ended. A tag that a
    gatekeeper protects, such as an immutable one, stays; the next run tries it again.
    """
    last_id, ended = None, 0
    for tag_id, repository_name, tag in raw.fetch_all(_FIND_EXPIRED, (now, after_id, limit)):
        last_id = int(tag_id)
        try:
            ended += _end(repository_name, tag, last_id, now, actor=Actor.system())
        except DomainError as error:
            log.info("expired_tag_kept", tag=f"{repository_name}:{tag}", reason=error.message)
    return last_id, ended


@durable_write
def _end(repository_name: str, tag: str, tag_id: int, now: datetime, *, actor: Actor) -> bool:
    """End the very tag that was found; one that was moved meanwhile has a life of its own."""
    repository_id, project_id = share_repository_locked(repository_name)
    live = history.lock_tags(repository_id, [tag]).get(tag)
    if live is None or live.id != tag_id:
        return False
    if raw.fetch_one(_IS_EXPIRED, (tag_id, now)) is None:
        return False
    delete_live_tag_locked(Place(repository_name, project_id), repository_id, live, actor=actor)
    return True
