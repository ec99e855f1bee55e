"""The grant source of the permission evaluator; see the setting ``RBAC_GRANT_SOURCE``."""

import json

from core.database.raw import fetch_all
from core.grants.rules import PERMISSIONS_OF_RIGHT
from core.grants.types import RepositoryRight
from core.rbac.types import Actor, ActorKind, Grant, Target

# Every branch is a look-up by index: (project, user), (project, group), and the unique
# index that begins with user or group and ends with the repository.
GRANTS_OF = """
SELECT 'role', role.name, role.permissions::text, NULL
  FROM members_membership membership
  JOIN members_role role ON role.id = membership.role_id
 WHERE membership.project_id = {project} AND membership.user_id = {user}
UNION ALL
SELECT 'role', role.name, role.permissions::text, auth_group.name
  FROM users_user_groups joined
  JOIN members_membership membership
    ON membership.group_id = joined.group_id AND membership.project_id = {project}
  JOIN auth_group ON auth_group.id = joined.group_id
  JOIN members_role role ON role.id = membership.role_id
 WHERE joined.user_id = {user}
UNION ALL
SELECT 'right', permission.codename, NULL, NULL
  FROM grants_repositoryusergrant held
  JOIN auth_permission permission ON permission.id = held.permission_id
 WHERE held.user_id = {user} AND held.content_object_id = {repository}
UNION ALL
SELECT 'right', permission.codename, NULL, auth_group.name
  FROM users_user_groups joined
  JOIN grants_repositorygroupgrant held
    ON held.group_id = joined.group_id AND held.content_object_id = {repository}
  JOIN auth_group ON auth_group.id = joined.group_id
  JOIN auth_permission permission ON permission.id = held.permission_id
 WHERE joined.user_id = {user}
"""
"""The grants of a user for a project and a repository; the braces stand for their ids."""

_GRANTS = f"""
SELECT held.*
  FROM (SELECT %s::bigint AS user_id, %s::bigint AS project_id, %s::bigint AS repository_id)
       AS asked,
       LATERAL ({
    GRANTS_OF.format(
        user="asked.user_id", project="asked.project_id", repository="asked.repository_id"
    )
}) AS held
"""  # noqa: S608  # made of constants


def find_grants(actor: Actor, target: Target) -> list[Grant]:
    """Return every grant that the actor has in the target's project, with one statement.

    Grants on a repository count only when the target names one that exists: they open the
    repository, not the project around it. Robots carry their permissions themselves and
    nobody else but users holds grants, so all others cost no statement.
    """
    if actor.kind is not ActorKind.USER or actor.id is None or target.project_id is None:
        return []
    user, project, repository = actor.id, target.project_id, target.repository_id
    rows = fetch_all(_GRANTS, [user, project, repository])
    return [to_grant(*row, repository_id=repository) for row in rows]


def to_grant(
    kind: str,
    name: str,
    permissions: str | None,
    group: str | None,
    *,
    repository_id: int | None,
) -> Grant:
    """Return a row of ``GRANTS_OF`` as the evaluator knows it."""
    holder = "member" if group is None else f"member of group {group}"
    if kind == "role":
        listed = None if permissions is None else frozenset(json.loads(permissions))
        return Grant(role=name, source=f"{holder} of the project", permissions=listed)
    return Grant(
        role=name,
        source="repository grant" if group is None else f"repository grant to group {group}",
        permissions=PERMISSIONS_OF_RIGHT[RepositoryRight(name)],
        repository_id=repository_id,
    )
