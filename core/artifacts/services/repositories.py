"""Writes of repositories themselves."""

from collections.abc import Sequence
from datetime import datetime

from core.artifacts.errors import NameUnknown
from core.artifacts.events import RepositoryCreated, RepositoryDeleted
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.models import Repository
from core.artifacts.services.discarding import discard_repository_locked
from core.artifacts.types import PendingWrite
from core.audit import services as audit
from core.common import clock
from core.database import raw
from core.database.statements import Statement
from core.database.transactions import durable_write
from core.events.services import publish
from core.oci.digest import Digest
from core.rbac.types import Actor

_FIND = "SELECT id FROM artifacts_repository WHERE name = $1 AND project_id = $2"
_FIND_BESIDE_OTHERS = Statement("repository_find_beside_others", f"{_FIND} FOR KEY SHARE")
_FIND_ALONE = Statement("repository_find_alone", f"{_FIND} FOR UPDATE")

# A deletion or renaming of the project that is under way is waited for.
_CREATE = Statement(
    "repository_create",
    """
WITH project AS (
     SELECT id FROM projects_project WHERE id = $2 AND name = split_part($1, '/', 1)
        FOR KEY SHARE),
     created AS (
     INSERT INTO artifacts_repository
            (project_id, name, description, pull_count, created_at, updated_at)
     SELECT id, $1, '', 0, $3::timestamptz, $3::timestamptz FROM project
     ON CONFLICT (name) DO NOTHING RETURNING id)
SELECT project.id, created.id FROM project LEFT JOIN created ON true
""",
)

_END_REDIRECT = Statement(
    "repository_end_redirect", "DELETE FROM artifacts_redirect WHERE name = $1"
)

# The project first: whoever renames it holds its row and wants those of its repositories.
_HOLD = """
WITH project AS MATERIALIZED (
     SELECT id FROM projects_project WHERE name = split_part(%s, '/', 1) FOR KEY SHARE)
SELECT r.id, r.project_id
  FROM project
 CROSS JOIN LATERAL
       (SELECT id, project_id FROM artifacts_repository
         WHERE project_id = project.id AND name = %s LIMIT 1 FOR {lock}) r
"""
_SHARE = _HOLD.format(lock="KEY SHARE")
_RESERVE = _HOLD.format(lock="UPDATE")

_TOUCH = Statement(
    "repository_touch",
    "UPDATE artifacts_repository SET updated_at = greatest(updated_at, $2) WHERE id = $1",
)

# In one statement: a child that is gone as well need not be told that no index lists it.
_DELETE_MANIFESTS = """
WITH gone AS (DELETE FROM artifacts_manifest WHERE repository_id = %s RETURNING id)
DELETE FROM artifacts_manifestreference WHERE parent_id IN (SELECT id FROM gone)
"""

# Whoever deletes a label holds its row before those of this table. So does whoever deletes or
# moves what carries labels, in the order of ids: nobody waits for the other in a ring.
_HOLD_LABELS = """
SELECT id FROM labels_label
 WHERE id IN (SELECT held.label_id
                FROM artifacts_manifestlabel held
                JOIN artifacts_manifest m ON m.id = held.manifest_id
               WHERE {which})
 ORDER BY id FOR KEY SHARE
"""
_HOLD_LABELS_OF_REPOSITORY = _HOLD_LABELS.format(which="m.repository_id = %s")
_HOLD_LABELS_OF_MANIFESTS = _HOLD_LABELS.format(which="m.id = ANY(%s::bigint[])")

_ATTEMPTS = 5


def obtain_repository_locked(
    name: str, *, project_id: int, actor: Actor, now: datetime, alone: bool = False
) -> int:
    """Return the repository's id, created if need be, kept from deletion until the commit.

    ``alone`` holds off every other write into the repository as well. Raises NameUnknown when
    the project is gone, or the name belongs to another project.
    """
    find = _FIND_ALONE if alone else _FIND_BESIDE_OTHERS
    for _attempt in range(_ATTEMPTS):
        found = find.fetch_one(name, project_id)
        if found is not None:
            return int(found[0])
        created = create_repository_locked(name, project_id=project_id, actor=actor, now=now)
        if created is not None:
            return created
    raise NameUnknown


def create_repository_locked(
    name: str, *, project_id: int, actor: Actor, now: datetime
) -> int | None:
    """Return the id of a new repository, None when the name is taken.

    A redirect from the name is over then. Raises NameUnknown when the project is gone, or has
    another name than the repository's says.
    """
    created = _CREATE.fetch_one(name, project_id, now)
    if created is None:
        raise NameUnknown
    if created[1] is None:
        return None
    repository_id = int(created[1])
    # A statement of its own: it sees what those have committed who were waited for.
    _END_REDIRECT.execute_later(name)
    audit.record(
        "repository.created",
        actor,
        target_kind="repository",
        target_label=name,
        target_id=repository_id,
        project_id=project_id,
        project_name=name.partition("/")[0],
    )
    publish(RepositoryCreated(repository_id, name, project_id))
    return repository_id


def share_repository_locked(name: str) -> tuple[int, int]:
    """Return (id, project id), kept from deletion until the commit. Raises NameUnknown."""
    row = raw.fetch_one(_SHARE, (name, name))
    if row is None:
        raise NameUnknown
    return int(row[0]), int(row[1])


def reserve_repository_locked(name: str) -> tuple[int, int]:
    """Return (id, project id), with every other write into the repository held off.

    For deletes of content: a push holds many rows at once, and so does a delete; they take
    turns instead of waiting for each other in a ring. Raises NameUnknown.
    """
    row = raw.fetch_one(_RESERVE, (name, name))
    if row is None:
        raise NameUnknown
    return int(row[0]), int(row[1])


def hold_labels_of_repository_locked(repository_id: int) -> None:
    """Keep the labels on a reserved repository's manifests from deletion until the commit.

    To be called before the manifests are deleted, or leave labels behind.
    """
    raw.execute(_HOLD_LABELS_OF_REPOSITORY, (repository_id,))


def hold_labels_of_manifests_locked(manifest_ids: Sequence[int]) -> None:
    """Do the same for some manifests of a reserved repository."""
    raw.execute(_HOLD_LABELS_OF_MANIFESTS, (list(manifest_ids),))


def touch_repository_locked(repository_id: int, now: datetime) -> None:
    """Note that content changed. The last statement of a write: it holds up other writers."""
    _TOUCH.execute_later(repository_id, now)


@durable_write
def update_repository(name: str, *, description: str, actor: Actor) -> Repository:
    """Change the description. Raises NameUnknown and what gatekeepers raise."""
    repository = Repository.objects.select_for_update(no_key=True).filter(name=name).first()
    if repository is None:
        raise NameUnknown
    ask_gatekeepers(
        PendingWrite(
            action="repository.update",
            actor=actor,
            project_id=repository.project_id,
            repository_id=repository.pk,
            repository_name=name,
        )
    )
    repository.description = description
    repository.updated_at = clock.now()
    repository.save(update_fields=["description", "updated_at"])
    audit.record(
        "repository.updated",
        actor,
        target_kind="repository",
        target_label=name,
        target_id=repository.pk,
        project_id=repository.project_id,
        project_name=name.partition("/")[0],
    )
    return repository


@durable_write
def delete_repository(name: str, *, actor: Actor) -> None:
    """Delete a repository with all it holds, and end the uploads into it.

    Its content goes into the trash. Blobs stay as long as that or other repositories have them.
    Raises NameUnknown, and what gatekeepers raise.
    """
    repository_id, _project_id = reserve_repository_locked(name)
    repository = Repository.objects.get(pk=repository_id)
    ask_gatekeepers(
        PendingWrite(
            action="repository.delete",
            actor=actor,
            project_id=repository.project_id,
            repository_id=repository.pk,
            repository_name=name,
            moved_tags=live_tags_alone(repository.pk),
        )
    )
    hold_labels_of_repository_locked(repository.pk)
    discard_repository_locked(repository, actor=actor, now=clock.now())
    _delete_content_locked(repository.pk, name)
    audit.record(
        "repository.deleted",
        actor,
        target_kind="repository",
        target_label=name,
        target_id=repository.pk,
        project_id=repository.project_id,
        project_name=name.partition("/")[0],
    )
    publish(RepositoryDeleted(repository.pk, name, repository.project_id))
    # Through the ORM, which knows the tables of higher features that refer to it.
    repository.delete()


def live_tags_alone(repository_id: int) -> dict[str, Digest]:
    """Return the live tags; the caller holds off every other write into the repository."""
    rows = raw.fetch_all(
        "SELECT name, digest FROM artifacts_tag WHERE repository_id = %s AND ended_at IS NULL",
        (repository_id,),
    )
    return {name: Digest.from_bytes(bytes(digest)) for name, digest in rows}


def _delete_content_locked(repository_id: int, name: str) -> None:
    raw.execute(
        "UPDATE blobs_upload SET expires_at = clock_timestamp(), epoch = epoch + 1"
        " WHERE repository_name = %s AND committed_digest IS NULL",
        (name,),
    )
    for statement in (
        "DELETE FROM artifacts_tag WHERE repository_id = %s",
        "DELETE FROM artifacts_repositoryblob WHERE repository_id = %s",
        _DELETE_MANIFESTS,
    ):
        raw.execute(statement, (repository_id,))
