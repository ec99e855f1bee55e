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
    and the same object answers a question for as long as the row stays the same.
    """

    user: LoginFacts | None
    target: TargetLookup
    grants: tuple[Grant, ...]
    has_failures: bool


@dataclass(frozen=True, slots=True, eq=False)
class TokenStanding:
    """The token, if there is one, with what its user was granted where the question leads.

    One and the same object answers a question for as long as the row stays the same.
    """

    token: TokenFacts | None
    target: TargetLookup
    grants: tuple[Grant, ...]


@lru_cache(maxsize=1024)
def _by_password(_question: PasswordQuestion, row: Row) -> PasswordStanding:
    user, target, grants = _user(row)
    return PasswordStanding(user, target, grants, row[11])


@lru_cache(maxsize=1024)
def _by_token(_question: TokenQuestion, row: Row) -> TokenStanding:
    user, target, grants = _user(row)
    token_id, scopes, project_names, *times = row[11:]
    if user is None:
        return TokenStanding(None, target, grants)
    token = TokenFacts(
        token_id, user, frozenset(json.loads(scopes)), frozenset(json.loads(project_names)), *times
    )
    return TokenStanding(token, target, grants)


def _user(row: Row) -> tuple[LoginFacts | None, TargetLookup, tuple[Grant, ...]]:
    user = LoginFacts(*row[:5]) if row[0] is not None else None
    generation, repository_id, grants = row[5], *row[9:11]
    project = ProjectFacts(*row[6:9]) if row[6] is not None else None
    return (
        user,
        TargetLookup(project, generation, repository_id),
        tuple(to_grants(grants, repository_id=repository_id)),
    )


_USER_AND_GRANTS: Final = """u.id, u.username, u.password, u.is_active, u.is_superuser,
       coalesce((SELECT v.generation FROM users_revocation v
                  WHERE v.subject = 'user:' || u.id), 0),
       p.id, p.is_public, p.generation, r.id,
       CASE WHEN u.is_active AND NOT u.is_superuser AND p.id IS NOT NULL THEN
            grants_held(u.id, p.id, r.id) END"""
_REPOSITORY: Final = PROJECT_AND_REPOSITORY.format(repository="r")

PASSWORDS: Final[Lookup[PasswordQuestion, PasswordStanding]] = Lookup(
    "find_password",
    {"username": "text", "address": "text", "project": "text", "repository": "text"},
    select=f"""{_USER_AND_GRANTS},
       EXISTS (SELECT FROM authn_loginfailure
                WHERE username = left(lower(asked.username), 255))
       OR EXISTS (SELECT FROM authn_loginfailure WHERE address = asked.address)""",  # noqa: S608  # made of constants
    joins=f"""
  LEFT JOIN users_user u ON lower(u.username) = lower(asked.username)
  {_REPOSITORY}""",
    answer=_by_password,
)

TOKENS: Final[Lookup[TokenQuestion, TokenStanding]] = Lookup(
    "find_personal_token",
    {"secret_hash": "bytea", "project": "text", "repository": "text"},
    select=f"""{_USER_AND_GRANTS},
       t.id, t.scopes::text, t.project_names::text, t.expires_at, t.revoked_at, t.last_used_at""",
    joins=f"""
  LEFT JOIN authn_personaltoken t ON t.secret_hash = asked.secret_hash
  LEFT JOIN users_user u ON u.id = t.user_id
  {_REPOSITORY}""",
    answer=_by_token,
)
