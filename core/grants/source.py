"""The grant source of the permission evaluator; see the setting ``RBAC_GRANT_SOURCE``."""

import json

from core.database.raw import fetch_all
from core.grants.rules import PERMISSIONS_OF_RIGHT
from core.grants.types import RepositoryRight
from core.rbac.types import Actor, ActorKind, Grant, Target

_GRANTS_HELD = "SELECT grants_held(%s, %s, %s)"


def find_grants(actor: Actor, target: Target) -> list[Grant]:
    """Return every grant that the actor has in the target's project, with one statement.

    Grants on a repository count only when the target names one that exists: they open the
    repository, not the project around it. Robots carry their permissions themselves and
    nobody else but users holds grants, so all others cost no statement.
    """
    if actor.kind is not ActorKind.USER or actor.id is None or target.project_id is None:
        return []
    user, project, repository = actor.id, target.project_id, target.repository_id
    [(listed,)] = fetch_all(_GRANTS_HELD, [user, project, repository])
    return to_grants(listed, repository_id=repository)


def to_grants(listed: str | None, *, repository_id: int | None) -> list[Grant]:
    """Return what the database's function ``grants_held`` lists as the evaluator knows it."""
    rows = json.loads(listed) if listed is not None else ()
    return [_to_grant(*row, repository_id=repository_id) for row in rows]


def _to_grant(
    kind: str,
    name: str,
    permissions: str | None,
    group: str | None,
    *,
    repository_id: int | None,
) -> Grant:
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
