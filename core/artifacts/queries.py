"""Reads of repositories and their content: plain SQL over the migrated tables.

Every request of a registry client begins with one of the ``find_`` queries. Each is a single
statement that always yields one row: the project and repository a name leads to, the
generation of the subject that asks, and the content asked for. Nothing here is cached, because a
delete or a move must show in the next read.
"""

import json
from typing import Final

from core.artifacts.types import (
    ProjectFacts,
    ReadableRepositories,
    Referrer,
    RepositoryPage,
    TargetLookup,
)
from core.database import raw
from core.oci.digest import Digest

GENERATION: Final = """coalesce((SELECT v.generation FROM users_revocation v
                  WHERE v.subject = asked.subject), 0)"""

# Every lookup begins with these columns: what a token has to agree with.
PROJECT_AND_GENERATION: Final = f"p.id, p.is_public, p.generation, {GENERATION}"

# The project ``p`` and the repository of a name that begins with it. Here and wherever rows
# are looked up by several keys, a subquery with a limit has an index asked by all of them. A join
# may ask it by one, and compare all repositories of the project, or all that share a blob, with
# the others: on average there are few, whatever there is of some.
PROJECT_AND_REPOSITORY: Final = """
  LEFT JOIN projects_project p ON p.name = asked.project
  LEFT JOIN LATERAL (SELECT id FROM artifacts_repository
                      WHERE name = asked.repository AND project_id = p.id LIMIT 1) {repository}
         ON true"""

_FOR_SUBJECT: Final = """
  FROM (SELECT %(subject)s AS subject) AS asked"""

_VIEWER_PROJECT_REPOSITORY: Final = """
  FROM (SELECT %s AS subject) AS asked
  LEFT JOIN projects_project p ON p.name = %s
  LEFT JOIN artifacts_repository r ON r.name = %s AND r.project_id = p.id"""

_FIND_TARGET: Final = f"""
SELECT {PROJECT_AND_GENERATION},
       r.id
{_VIEWER_PROJECT_REPOSITORY}
"""

# As in ``core.artifacts.lookups``.
_FIND_REDIRECTED_TARGET: Final = f"""
SELECT {PROJECT_AND_GENERATION},
       r.id, r.name
  FROM (SELECT %s AS subject) AS asked
  LEFT JOIN artifacts_redirect a
         ON a.name = %s
        AND NOT EXISTS (SELECT FROM projects_project taken
                         WHERE taken.name = %s AND taken.id <> a.project_id)
  LEFT JOIN artifacts_repository r ON r.id = a.repository_id
  LEFT JOIN projects_project p ON p.id = r.project_id
"""  # noqa: S608  # made of constants

_LIST_TAGS: Final = """
SELECT name FROM artifacts_tag
 WHERE repository_id = %s AND ended_at IS NULL AND name > %s
 ORDER BY name LIMIT %s
"""

_LIST_ALL_REPOSITORIES: Final = """
SELECT name FROM artifacts_repository WHERE name > %(after)s ORDER BY name LIMIT %(limit)s
"""

# The repositories of a project stand together in byte order, since their names begin with its
# name and a slash. So whole projects follow one another, each read from its own index, and those
# whose last possible name is not behind the page's beginning are left out ("0" follows "/").
_LIST_PROJECTS: Final = """
SELECT r.name
  FROM (SELECT id, name || '/' AS prefix FROM projects_project
         WHERE (is_public AND %(public)s
                OR id = ANY(%(projects)s::bigint[]) OR name = ANY(%(names)s::text[]))
           AND name || '0' > %(after)s
         ORDER BY prefix) p
 CROSS JOIN LATERAL
       (SELECT name FROM artifacts_repository
         WHERE project_id = p.id AND name > %(after)s ORDER BY name LIMIT %(limit)s) r
 ORDER BY p.prefix, r.name LIMIT %(limit)s
"""

_LIST_PROJECTS_AND_REPOSITORIES: Final = f"""
({_LIST_PROJECTS})
 UNION
(SELECT name FROM artifacts_repository
  WHERE id = ANY(%(repositories)s::bigint[]) AND name > %(after)s
  ORDER BY name LIMIT %(limit)s)
 ORDER BY name LIMIT %(limit)s
"""  # noqa: S608  # made of constants

# Annotations are part of a manifest, so its size bounds them without reading them; PostgreSQL
# keeps long ones apart from the row, and fetches them for what is returned only.
_LIST_REFERRERS: Final = """
SELECT id, digest, media_type, size_bytes, listed_type, annotations
  FROM (SELECT *, sum(size_bytes) OVER (ORDER BY id) - size_bytes AS bytes_before
          FROM (SELECT id, digest, media_type, size_bytes, annotations,
                       coalesce(nullif(artifact_type, ''), config_media_type) AS listed_type
                  FROM artifacts_manifest
                 WHERE repository_id = %(repository)s AND subject = %(subject)s
                   AND subject IS NOT NULL AND id > %(after)s
                   AND (%(type)s::text IS NULL
                        OR coalesce(nullif(artifact_type, ''), config_media_type) = %(type)s)
                 ORDER BY id LIMIT %(limit)s) AS following) AS summed
 WHERE bytes_before < %(max_bytes)s
 ORDER BY id
"""

# How much each step reads is bounded, however many repositories share the blob and however many
# a project has. The subqueries with limits keep the planner from reading all links instead.
_FIND_MOUNT_SOURCES: Final = """
WITH asked AS MATERIALIZED (SELECT id FROM blobs_blob WHERE digest = %(digest)s)
(SELECT 1 AS step, r.id, r.name
   FROM artifacts_repository r
  CROSS JOIN LATERAL
        (SELECT FROM artifacts_repositoryblob
          WHERE repository_id = r.id AND blob_id = (SELECT id FROM asked) LIMIT 1) l
  WHERE r.name = %(target)s)
 UNION ALL
(SELECT 2, r.id, r.name
   FROM (SELECT id, name FROM artifacts_repository
          WHERE project_id = %(project)s ORDER BY name LIMIT %(neighbours)s) r
  CROSS JOIN LATERAL
        (SELECT FROM artifacts_repositoryblob
          WHERE repository_id = r.id AND blob_id = (SELECT id FROM asked) LIMIT 1) l
  LIMIT %(limit)s)
 UNION ALL
(SELECT 3, r.id, r.name
   FROM (SELECT repository_id FROM artifacts_repositoryblob
          WHERE blob_id = (SELECT id FROM asked) ORDER BY repository_id LIMIT %(limit)s) l
  CROSS JOIN LATERAL
        (SELECT id, name FROM artifacts_repository WHERE id = l.repository_id LIMIT 1) r)
 ORDER BY step, id
"""

MAXIMUM_NEIGHBOURS: Final = 500
"""In how many repositories of its own project, by name, a blob is looked for first."""


def find_target(name: str, subject: str) -> TargetLookup:
    """Return where a repository name leads, content apart, for a subject (``Actor.subject``)."""
    row = _one(_FIND_TARGET, (subject, name.partition("/")[0], name))
    return TargetLookup(_project(row), row[3], row[4])


def find_redirected_target(name: str, subject: str) -> TargetLookup:
    """Return where a former name leads; without project and repository if it leads nowhere."""
    row = _one(_FIND_REDIRECTED_TARGET, (subject, name, name.partition("/")[0]))
    return TargetLookup(_project(row), row[3], row[4], redirected_to=row[5])


def list_tags(repository_id: int, after: str, limit: int) -> list[str]:
    """Return up to ``limit`` live tags behind ``after``, in byte order."""
    (text,) = _one(f"SELECT {_joined(_LIST_TAGS)}", (repository_id, after, limit))
    return _names(text)


def list_repositories(
    visible: ReadableRepositories, subject: str, after: str, limit: int
) -> RepositoryPage:
    """Return up to ``limit`` full names of visible repositories behind ``after``, in order.

    With them comes the generation of a subject (``Actor.subject``), as from other lookups.
    """
    statement = _LIST_PROJECTS_AND_REPOSITORIES if visible.repository_ids else _LIST_PROJECTS
    if visible.everything:
        statement = _LIST_ALL_REPOSITORIES
    parameters = {
        "subject": subject,
        "after": after,
        "public": visible.public,
        "projects": sorted(visible.project_ids),
        "names": sorted(visible.project_names),
        "repositories": sorted(visible.repository_ids),
        "limit": limit,
    }
    page = f"SELECT {_joined(statement)}, {GENERATION}{_FOR_SUBJECT}"
    text, generation = _one(page, parameters)
    return RepositoryPage(_names(text), generation)


def list_referrers(
    repository_id: int,
    subject: Digest,
    artifact_type: str | None,
    after_id: int,
    *,
    limit: int,
    max_bytes: int,
) -> tuple[list[Referrer], bool]:
    """Return manifests about ``subject``, oldest first, and whether more may follow.

    Those behind ``after_id``, up to ``limit`` of them, and none behind the one with which their
    sizes reach ``max_bytes`` (at least 1). ``artifact_type`` selects by the type a referrer is
    listed under: its own, else that of its config (distribution-spec, "Listing Referrers").
    """
    parameters = {
        "repository": repository_id,
        "subject": subject.to_bytes(),
        "type": artifact_type,
        "after": after_id,
        "limit": limit,
        "max_bytes": max_bytes,
    }
    rows = raw.fetch_all(_LIST_REFERRERS, parameters)
    referrers = [
        Referrer(
            id=row[0],
            digest=Digest.from_bytes(bytes(row[1])),
            media_type=row[2],
            size_bytes=row[3],
            artifact_type=row[4],
            annotations=json.loads(row[5]),
        )
        for row in rows
    ]
    is_full = sum(referrer.size_bytes for referrer in referrers) >= max_bytes
    return referrers, is_full or len(referrers) == limit


def find_mount_sources(
    digest: Digest, *, target_name: str, project_id: int, limit: int
) -> list[str]:
    """Return up to ``limit`` repositories that hold the blob.

    The target comes first, then those among the ``MAXIMUM_NEIGHBOURS`` first ones of its
    project, then the oldest of all.
    """
    parameters = {
        "digest": digest.to_bytes(),
        "target": target_name,
        "project": project_id,
        "neighbours": MAXIMUM_NEIGHBOURS,
        "limit": limit,
    }
    rows = raw.fetch_all(_FIND_MOUNT_SOURCES, parameters)
    # A later step finds again what an earlier one has found.
    return list(dict.fromkeys(name for _, _, name in rows))[:limit]


def _joined(statement: str) -> str:
    """Return SQL for the names that a statement selects, in its order, in one text.

    A row for each costs more than finding it.
    """
    return f"array_to_string(ARRAY({statement}), ' ')"


def _names(text: str) -> list[str]:
    """Take such a text apart; no name has a space."""
    return text.split()


def _one(statement: str, parameters: raw.Parameters) -> raw.Row:
    row = raw.fetch_one(statement, parameters)
    if row is None:
        raise AssertionError("A lookup yields one row whatever it finds.")
    return row


def _project(row: raw.Row) -> ProjectFacts | None:
    if row[0] is None:
        return None
    return ProjectFacts(id=row[0], is_public=row[1], generation=row[2])
