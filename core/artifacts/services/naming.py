"""Repositories under other names: after their project was renamed, or in another project.

What a repository was called before becomes a redirect, by which pulls still find it. A redirect
ends when something else takes the name.
"""

from datetime import datetime

from django.db import IntegrityError, transaction

from core.artifacts.errors import NameUnknown, RepositoryNameTaken
from core.artifacts.pulls import move_usage_locked
from core.artifacts.services.repositories import hold_labels_of_repository_locked
from core.artifacts.types import Place
from core.database import raw
from core.oci.reference import MAX_NAME_CHARACTERS, parse_repository_name

_LOCK_ALL = """
SELECT length(name) FROM artifacts_repository WHERE project_id = %s ORDER BY id FOR UPDATE
"""

# "0" follows "/" in the order of bytes, so these are the names below the project's.
_END_REDIRECTS_BELOW = "DELETE FROM artifacts_redirect WHERE name >= %s || '/' AND name < %s || '0'"

_REDIRECT = """
INSERT INTO artifacts_redirect AS redirect (name, repository_id, project_id, created_at)
SELECT name, id, project_id, %s FROM artifacts_repository WHERE {which} = %s
ON CONFLICT (name) DO UPDATE
   SET repository_id = excluded.repository_id, trash_entry_id = NULL,
       project_id = excluded.project_id, created_at = excluded.created_at
"""
_REDIRECT_ALL = _REDIRECT.format(which="project_id")
_REDIRECT_ONE = _REDIRECT.format(which="id")

# Of several repositories of one name, the one that was deleted last; a live one goes before it.
# A name that is too long for a repository was none: it came into the trash under a shorter one.
_REDIRECT_TRASHED = """
INSERT INTO artifacts_redirect (name, trash_entry_id, project_id, created_at)
SELECT DISTINCT ON (path) %(old)s || '/' || path, id, project_id, %(now)s
  FROM artifacts_trashentry
 WHERE project_id = %(project)s AND kind = 'repository'
   AND length(path) < %(longest)s - length(%(old)s)
 ORDER BY path, id DESC
ON CONFLICT (name) DO NOTHING
"""

# Those of the entry itself; and what all repositories of its name were called under former names of
# the project, when the one that comes back is not the one that was deleted last.
_LEAD_TO_RESTORED = """
UPDATE artifacts_redirect AS redirect SET repository_id = %s, trash_entry_id = NULL
  FROM artifacts_trashentry AS restored, artifacts_trashentry AS waited_for
 WHERE restored.id = %s
   AND waited_for.project_id = restored.project_id AND waited_for.path = restored.path
   AND waited_for.kind = 'repository' AND redirect.trash_entry_id = waited_for.id
   AND (waited_for.id = restored.id
        OR redirect.project_id = restored.project_id
           AND substr(redirect.name, strpos(redirect.name, '/') + 1) = restored.path)
"""

_RENAME_ALL = """
UPDATE artifacts_repository SET name = %s || substr(name, %s), updated_at = %s
 WHERE project_id = %s
"""

_RENAME_ONE = """
UPDATE artifacts_repository SET name = %s, project_id = %s, updated_at = %s WHERE id = %s
"""

# Only of the repository as it is now; one of that name that was deleted before stays behind.
_MOVE_TRASH = """
UPDATE artifacts_trashentry SET project_id = %s, path = %s
 WHERE project_id = %s AND path = %s AND kind <> 'repository'
"""

_END_UPLOADS = """
UPDATE blobs_upload SET expires_at = clock_timestamp(), epoch = epoch + 1
 WHERE committed_digest IS NULL AND expires_at > clock_timestamp() AND
"""
_END_UPLOADS_OF_PROJECT = f"{_END_UPLOADS} project_id = %s"
_END_UPLOADS_OF_REPOSITORY = f"{_END_UPLOADS} repository_name = %s"

_END_DEAD_REDIRECTS = """
DELETE FROM artifacts_redirect AS redirect USING projects_project AS taken
 WHERE taken.name = split_part(redirect.name, '/', 1) AND taken.id <> redirect.project_id
"""

_END_WAITING_IN_VAIN = """
DELETE FROM artifacts_redirect AS redirect
 WHERE trash_entry_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM artifacts_trashentry WHERE id = redirect.trash_entry_id)
"""


def rename_repositories_locked(project_id: int, old: str, new: str, *, now: datetime) -> int:
    """Let the repositories of a project follow its new name; return how many there are.

    The caller holds the project's row alone and has renamed it. Redirects from names below the
    new one are over, and open uploads end. Former names of what is in the trash wait for its
    restoration. Raises NameInvalid when a name would be too long.
    """
    lengths = [row[0] for row in raw.fetch_all(_LOCK_ALL, (project_id,))]
    longest = max(lengths, default=0) - len(old)
    if lengths and len(new) + longest > MAX_NAME_CHARACTERS:
        # Let the one place that words it say so.
        parse_repository_name(f"{new}/{'x' * longest}")
    raw.execute(_END_REDIRECTS_BELOW, (new, new))
    raw.execute(_REDIRECT_ALL, (now, project_id))
    of_project = {"old": old, "now": now, "project": project_id, "longest": MAX_NAME_CHARACTERS}
    raw.execute(_REDIRECT_TRASHED, of_project)
    raw.execute(_RENAME_ALL, (new, len(old) + 1, now, project_id))
    raw.execute(_END_UPLOADS_OF_PROJECT, (project_id,))
    return len(lengths)


def move_repository_locked(
    repository_id: int, source: Place, target: Place, *, now: datetime
) -> None:
    """Give a reserved repository another name, in its project or in another one.

    Both projects are held. What is in the trash comes along, and open uploads end. Raises
    RepositoryNameTaken.
    """
    hold_labels_of_repository_locked(repository_id)
    raw.execute(_REDIRECT_ONE, (now, repository_id))
    renamed = (target.repository_name, target.project_id, now, repository_id)
    try:
        with transaction.atomic():
            raw.execute(_RENAME_ONE, renamed)
    except IntegrityError as error:
        raise RepositoryNameTaken(
            f"A repository {target.repository_name} exists already."
        ) from error
    raw.execute("DELETE FROM artifacts_redirect WHERE name = %s", (target.repository_name,))
    move_usage_locked(repository_id, target.project_id)
    old_path, new_path = (place.repository_name.partition("/")[2] for place in (source, target))
    raw.execute(_MOVE_TRASH, (target.project_id, new_path, source.project_id, old_path))
    raw.execute(_END_UPLOADS_OF_REPOSITORY, (source.repository_name,))


def find_project_of(repository_name: str) -> int:
    """Return the project's id, which nothing keeps as it is. Raises NameUnknown."""
    query = "SELECT project_id FROM artifacts_repository WHERE name = %s"
    row = raw.fetch_one(query, (repository_name,))
    if row is None:
        raise NameUnknown
    return int(row[0])


def lead_to_restored_locked(repository_id: int, entry_id: int) -> None:
    """Let the former names that wait for an entry of the trash lead to what was restored from it.

    To be called before the entry goes.
    """
    raw.execute(_LEAD_TO_RESTORED, (repository_id, entry_id))


def end_dead_redirects() -> int:
    """Remove the redirects whose names belong to other projects now; return how many.

    They lead nowhere already; this keeps them from coming back should that project go. Those
    that wait for what is in the trash no more go as well.
    """
    return raw.execute(_END_DEAD_REDIRECTS) + raw.execute(_END_WAITING_IN_VAIN)


def end_redirects_of_name(project_name: str, *, except_project_id: int) -> int:
    """Remove redirects from names below that one of other projects; return how many."""
    query = f"{_END_REDIRECTS_BELOW} AND project_id <> %s"
    return raw.execute(query, (project_name, project_name, except_project_id))


def end_redirects_to_locked(repository_id: int) -> list[Place]:
    """Remove the redirects to a reserved repository; return what they led from, by name."""
    query = "DELETE FROM artifacts_redirect WHERE repository_id = %s RETURNING name, project_id"
    return sorted(Place(*row) for row in raw.fetch_all(query, (repository_id,)))
