"""What a token for a user needs, for many requests in one statement: credentials and rights."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from core.artifacts.queries import PROJECT_AND_REPOSITORY
from core.artifacts.types import ProjectFacts, TargetLookup
from core.authn.types import TokenFacts
from core.database.prepared import Lookup
from core.database.raw import Row
from core.database.versions import Basis, Versions
from core.grants.source import to_grants
from core.rbac.types import Grant
from core.users.types import LoginFacts


class PasswordQuestion(NamedTuple):
    """Who presents a password from where, and the repository for what it is meant.

    ``address`` is what stands for it in limits (``core.common.origin.throttle_address``), and
    ``project`` the repository's first component.
    """

    username: str
    address: str
    project: str
    repository: str


class TokenQuestion(NamedTuple):
    """The hash of a personal access token, and the repository for what it is meant."""

    secret_hash: bytes
    project: str
    repository: str


@dataclass(frozen=True, slots=True, eq=False)
class PasswordStanding:
    """The user, if there is one, with what it was granted where the question leads.

    ``has_failures`` says that wrong passwords for the name or from the address are stored. One
    and the same object answers a question for as long as the row stays the same. Without a user
    or a repository there is no ``basis``: another answer would rest on rows that are new.
    """

    user: LoginFacts | None
    target: TargetLookup
    grants: tuple[Grant, ...]
    has_failures: bool
    basis: Basis | None


@dataclass(frozen=True, slots=True, eq=False)
class TokenStanding:
    """The token, if there is one, with what its user was granted where the question leads.

    One and the same object answers a question for as long as the row stays the same, and it has
    a ``basis`` as the standing for a password has.
    """

    token: TokenFacts | None
    target: TargetLookup
    grants: tuple[Grant, ...]
    basis: Basis | None


class PasswordRowKeys(NamedTuple):
    """What the rows that a standing for a password rests on are found by.

    Names of logins that failed are stored as ``failing_username`` is.
    """

    user_id: int
    project_id: int
    repository: str
    failing_username: str
    address: str


class TokenRowKeys(NamedTuple):
    """What the rows that a standing for a personal access token rests on are found by."""

    user_id: int
    project_id: int
    repository: str
    token_id: int


@lru_cache(maxsize=1024)
def _by_password(question: PasswordQuestion, row: Row) -> PasswordStanding:
    user, target, grants = _user(row)
    has_failures, failing_username = row[14:]
    basis = None
    if user is not None and target.repository_id is not None:
        common = _common_keys(user, row, question.repository)
        keys = PasswordRowKeys(*common, failing_username, question.address)
        basis = Basis(keys, (*_common_versions(row), has_failures))
    return PasswordStanding(user, target, grants, has_failures, basis)


@lru_cache(maxsize=1024)
def _by_token(question: TokenQuestion, row: Row) -> TokenStanding:
    user, target, grants = _user(row)
    token_id, scopes, project_names, *times, version = row[14:]
    if user is None:
        return TokenStanding(None, target, grants, None)
    token = TokenFacts(
        token_id, user, frozenset(json.loads(scopes)), frozenset(json.loads(project_names)), *times
    )
    basis = None
    if target.repository_id is not None:
        keys = TokenRowKeys(*_common_keys(user, row, question.repository), token_id)
        basis = Basis(keys, (*_common_versions(row), version))
    return TokenStanding(token, target, grants, basis)


def _user(row: Row) -> tuple[LoginFacts | None, TargetLookup, tuple[Grant, ...]]:
    user = LoginFacts(*row[:5]) if row[0] is not None else None
    generation, repository_id, grants = row[5], *row[9:11]
    project = ProjectFacts(*row[6:9]) if row[6] is not None else None
    return (
        user,
        TargetLookup(project, generation, repository_id),
        tuple(to_grants(grants, repository_id=repository_id)),
    )


def _common_keys(user: LoginFacts, row: Row, repository: str) -> tuple[int, int, str]:
    """Return what the keys begin with, whatever proves the user."""
    return user.user_id, row[6], repository


def _common_versions(row: Row) -> Versions:
    """Return what the versions begin with: user, project, revocation, repository.

    No grants: whoever is given one or loses one has its row of ``core.users.revocations`` changed.
    With a repository that goes or moves, the repository's id or the project's row changes.
    """
    return row[11], row[12], row[13], row[9]


def _versions(_question: PasswordRowKeys | TokenRowKeys, row: Row) -> Versions:
    return tuple(row)


_USER_AND_GRANTS: Final = """u.id, u.username, u.password, u.is_active, u.is_superuser,
       coalesce((SELECT v.generation FROM users_revocation v
                  WHERE v.subject = 'user:' || u.id), 0),
       p.id, p.is_public, p.generation, r.id,
       CASE WHEN u.is_active AND NOT u.is_superuser AND p.id IS NOT NULL THEN
            grants_held(u.id, p.id, r.id) END,
       u.xmin, p.xmin,
       (SELECT v.xmin FROM users_revocation v WHERE v.subject = 'user:' || u.id)"""
_REPOSITORY: Final = PROJECT_AND_REPOSITORY.format(repository="r")

_HAS_FAILURES: Final = """EXISTS (SELECT FROM authn_loginfailure WHERE username = {username})
       OR EXISTS (SELECT FROM authn_loginfailure WHERE address = asked.address)"""
_FAILING_USERNAME: Final = "left(lower(asked.username), 255)"

PASSWORDS: Final[Lookup[PasswordQuestion, PasswordStanding]] = Lookup(
    "find_password",
    {"username": "text", "address": "text", "project": "text", "repository": "text"},
    select=f"""{_USER_AND_GRANTS},
       {_HAS_FAILURES.format(username=_FAILING_USERNAME)}, {_FAILING_USERNAME}""",
    joins=f"""
  LEFT JOIN users_user u ON lower(u.username) = lower(asked.username)
  {_REPOSITORY}""",
    answer=_by_password,
)

TOKENS: Final[Lookup[TokenQuestion, TokenStanding]] = Lookup(
    "find_personal_token",
    {"secret_hash": "bytea", "project": "text", "repository": "text"},
    select=f"""{_USER_AND_GRANTS},
       t.id, t.scopes::text, t.project_names::text, t.expires_at, t.revoked_at, t.last_used_at,
       t.xmin""",
    joins=f"""
  LEFT JOIN authn_personaltoken t ON t.secret_hash = asked.secret_hash
  LEFT JOIN users_user u ON u.id = t.user_id
  {_REPOSITORY}""",
    answer=_by_token,
)

_KEY_COLUMNS: Final = {"user_id": "bigint", "project_id": "bigint", "repository": "text"}
_COMMON_VERSIONS: Final = """(SELECT xmin FROM users_user WHERE id = asked.user_id),
       (SELECT xmin FROM projects_project WHERE id = asked.project_id),
       (SELECT v.xmin FROM users_revocation v WHERE v.subject = 'user:' || asked.user_id),
       (SELECT id FROM artifacts_repository
         WHERE name = asked.repository AND project_id = asked.project_id)"""
_VERSION_BY_ID: Final = "(SELECT xmin FROM authn_personaltoken WHERE id = asked.token_id)"

PASSWORD_VERSIONS: Final[Lookup[PasswordRowKeys, Versions]] = Lookup(
    "find_password_versions",
    _KEY_COLUMNS | {"failing_username": "text", "address": "text"},
    select=f"{_COMMON_VERSIONS}, {_HAS_FAILURES.format(username='asked.failing_username')}",
    joins="",
    answer=_versions,
)

TOKEN_VERSIONS: Final[Lookup[TokenRowKeys, Versions]] = Lookup(
    "find_token_versions",
    _KEY_COLUMNS | {"token_id": "bigint"},
    select=f"{_COMMON_VERSIONS}, {_VERSION_BY_ID}",
    joins="",
    answer=_versions,
)
