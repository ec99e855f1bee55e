"""What a token for a robot needs, for many requests in one statement: secret and rights."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from core.artifacts.queries import PROJECT_AND_REPOSITORY
from core.artifacts.types import ProjectFacts, TargetLookup
from core.database.prepared import Lookup
from core.database.raw import Row
from core.database.versions import Basis, Versions
from core.rbac.rules import EVERY_PROJECT
from core.robots.rules import full_name
from core.robots.types import Permissions, RobotFacts
from core.system_settings import queries as system_settings


class RobotQuestion(NamedTuple):
    """Whose secret is presented, and for which repository it is meant.

    ``owner`` is the project of the robot, None for robots of the system. ``project`` is the
    repository's first component.
    """

    owner: str | None
    name: str
    project: str
    repository: str


@dataclass(frozen=True, slots=True, eq=False)
class RobotStanding:
    """The robot, if there is one, and what it holds in the project that was asked about.

    One and the same object answers a question for as long as the row stays the same. Without a
    robot or a repository there is no ``basis``: another answer would rest on rows that are new.
    """

    robot: RobotFacts | None
    permissions: Permissions
    target: TargetLookup
    basis: Basis | None


class RobotRowKeys(NamedTuple):
    """What the rows that a standing rests on are found by.

    ``owner_id`` is the project of the robot, unless that is the one asked about or there is none.
    """

    robot_id: int
    owner_id: int | None
    project_id: int
    repository: str


def _standing(question: RobotQuestion, row: Row) -> RobotStanding:
    return _understood(question, row, _prefix())


def _prefix() -> str:
    # Whoever asks has made sure that the settings are known.
    return system_settings.remembered().robot_name_prefix


@lru_cache(maxsize=1024)
def _understood(question: RobotQuestion, row: Row, prefix: str) -> RobotStanding:
    """Make sense of a row, once for as long as it stays the same."""
    (robot_id, *secrets_and_times), (here, everywhere, named_id) = row[:7], row[7:10]
    generation, project = row[10], ProjectFacts(*row[11:14]) if row[11] is not None else None
    target = TargetLookup(project, generation, row[14])
    if robot_id is None:
        return RobotStanding(None, {}, target, None)
    secret, previous, *times = secrets_and_times
    facts = RobotFacts(
        robot_id,
        full_name(question.name, question.owner, prefix=prefix),
        bytes(secret),
        None if previous is None else bytes(previous),
        *times,
    )
    permissions: dict[str, frozenset[str]] = {}
    if everywhere is not None:
        permissions[EVERY_PROJECT] = frozenset(json.loads(everywhere))
    # A later project of the same name is not the one that a robot of the system names.
    is_meant = named_id is None or (project is not None and named_id == project.id)
    if here is not None and is_meant:
        permissions[question.project] = frozenset(json.loads(here))
    basis = None if target.repository_id is None else _basis(question, row, prefix)
    return RobotStanding(facts, permissions, target, basis)


def _basis(question: RobotQuestion, row: Row, prefix: str) -> Basis:
    robot_id, generation, project_id, repository_id = row[0], row[10], row[11], row[14]
    owner_id, robot_version, owner_version, project_version = row[15:]
    if owner_id == project_id:
        owner_id = owner_version = None
    return Basis(
        RobotRowKeys(robot_id, owner_id, project_id, question.repository),
        (robot_version, owner_version, project_version, generation, repository_id, prefix),
    )


def _versions(_question: RobotRowKeys, row: Row) -> Versions:
    return (*row, _prefix())


_COLUMNS: Final = {"owner": "text", "name": "text", "project": "text", "repository": "text"}
_SELECT: Final = """r.id, r.secret_hash, r.previous_secret_hash, r.previous_valid_until,
       r.is_disabled, r.expires_at, r.last_used_at,
       (r.permissions -> asked.project)::text, {everywhere}, {named},
       coalesce((SELECT v.generation FROM users_revocation v
                  WHERE v.subject = 'robot:' || r.id), 0),
       p.id, p.is_public, p.generation, t.id,
       r.project_id, r.xmin, {owner_version}, p.xmin"""
_REPOSITORY: Final = PROJECT_AND_REPOSITORY.format(repository="t")
_ROBOT: Final = """
  LEFT JOIN LATERAL (SELECT *, xmin FROM robots_robot
                      WHERE project_id {is_owner} AND name = asked.name LIMIT 1) r
         ON true"""

PROJECT_ROBOTS: Final[Lookup[RobotQuestion, RobotStanding]] = Lookup(
    "find_project_robot",
    _COLUMNS,
    # It holds rights in its own project alone, which goes with it.
    select=_SELECT.format(everywhere="NULL", named="NULL", owner_version="o.xmin"),
    joins=f"""
  LEFT JOIN projects_project o ON o.name = asked.owner
{_ROBOT.format(is_owner="= o.id")}
{_REPOSITORY}""",
    answer=_standing,
)

SYSTEM_ROBOTS: Final[Lookup[RobotQuestion, RobotStanding]] = Lookup(
    "find_system_robot",
    _COLUMNS,
    select=_SELECT.format(
        everywhere="(r.permissions -> '*')::text",
        named="(r.project_ids ->> asked.project)::bigint",
        owner_version="NULL",
    ),
    joins=f"""{_ROBOT.format(is_owner="IS NULL")}
{_REPOSITORY}""",
    answer=_standing,
)

ROBOT_VERSIONS: Final[Lookup[RobotRowKeys, Versions]] = Lookup(
    "find_robot_versions",
    {"robot_id": "bigint", "owner_id": "bigint", "project_id": "bigint", "repository": "text"},
    select="""(SELECT xmin FROM robots_robot WHERE id = asked.robot_id),
       (SELECT xmin FROM projects_project WHERE id = asked.owner_id),
       (SELECT xmin FROM projects_project WHERE id = asked.project_id),
       coalesce((SELECT v.generation FROM users_revocation v
                  WHERE v.subject = 'robot:' || asked.robot_id), 0),
       (SELECT id FROM artifacts_repository
         WHERE name = asked.repository AND project_id = asked.project_id)""",
    joins="",
    answer=_versions,
)
