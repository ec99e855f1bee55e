"""The quick way to a token: one look-up proves the credentials and finds the rights.

Only what needs nothing else goes this way: the secret of a robot, a personal access token, and
a password that this process has verified within the last minute. Whatever does not hold, is
throttled, or has something to be written first is left to ``core.authn.services``, which counts,
audits and words every refusal. Credentials go to the sort that the ``AUTHENTICATORS`` in the
settings would choose, and the same rules decide.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from core.artifacts.types import TargetLookup
from core.authn.errors import InvalidCredentials
from core.authn.login_records import LoginKey, login_key
from core.authn.password_authenticator import is_remembered
from core.authn.rules import (
    is_presentable,
    is_unguessable,
    token_actor,
    use_is_due,
    user_actor,
)
from core.authn.token_authenticator import PREFIX
from core.authn.types import Credentials, Session
from core.common.clock import now
from core.common.origin import Origin, throttle_address
from core.common.secrets_format import secret_hash
from core.grants.lookups import PasswordQuestion, TokenQuestion
from core.rbac.rules import allowed_among
from core.rbac.types import Actor, ActorKind, Grant
from core.robots.lookups import RobotQuestion, RobotStanding
from core.robots.rules import actor_of, parse_full_name, proven_until
from core.robots.types import RobotFacts
from core.system_settings import queries as system_settings
from registry_api.lookups import (
    find_password,
    find_personal_token,
    find_robot,
    find_target,
    project_of,
)
from registry_api.scopes import Standing

Answer = TypeVar("Answer")
Rights = Sequence[tuple[TargetLookup, Sequence[Grant]]]
"""Where each name leads, and what was granted there."""
Evidence = tuple[Hashable, ...]
"""The answers of look-ups and whatever else rights follow from."""


class Recognised(NamedTuple):
    """Who makes a request, and what it may do, worked out when asked for.

    All of it but the origin follows from the ``evidence``: for the same names, equal evidence
    gives the same standing.
    """

    login: LoginKey
    make_actor: Callable[[], Actor]
    evidence: Evidence
    standing: Callable[[], Standing]


async def recognise(
    credentials: Credentials, names: Sequence[str], origin: Origin
) -> Recognised | None:
    """Return who the credentials prove, and what it may do with the repositories of the names.

    None says nothing about the credentials: ask ``core.authn.services``.
    """
    username, secret = credentials.username, credentials.secret
    if not is_presentable(username, secret) or not system_settings.is_recent():
        return None
    try:
        prefix = system_settings.remembered().robot_name_prefix
        if username.startswith(prefix):
            return await _robot(credentials, prefix, names, origin)
        if secret.startswith(PREFIX):
            return await _personal_token(secret, names, origin)
    except InvalidCredentials:
        return None
    return None if is_unguessable(secret) else await _password(credentials, names, origin)


async def anybody(names: Sequence[str], origin: Origin) -> Recognised:
    """Return the same for everybody, with what is public."""
    actor = Actor.anonymous(origin)
    targets = [
        await _followed(name, target, actor.subject) if target.has_redirect else target
        for name, target in zip(
            names,
            await _found_for(names, lambda name: find_target(name, actor.subject)),
            strict=True,
        )
    ]
    rights = [(target, ()) for target in targets]
    make_actor = partial(_same, actor)
    standing = partial(_standing, make_actor, 0, names, rights)
    return Recognised(login_key(actor), make_actor, tuple(targets), standing)


async def _followed(name: str, target: TargetLookup, subject: str) -> TargetLookup:
    """Return where a former name leads everybody, which is where the project is public.

    Nobody may push without credentials, so such a name never means anything else.
    """
    found = await find_target(name, subject, redirected=True)
    is_public = found.project is not None and found.project.is_public
    return found if is_public and found.redirected_to is not None else target


async def _robot(
    credentials: Credentials, prefix: str, names: Sequence[str], origin: Origin
) -> Recognised | None:
    name = parse_full_name(credentials.username, prefix=prefix)
    if name is None:
        return None
    found = await _found_for(
        names or ("",),
        lambda repository: find_robot(
            RobotQuestion(name.project_name, name.name, project_of(repository), repository)
        ),
    )
    robot, at = found[0].robot, now()
    if robot is None or use_is_due(robot.last_used_at, at):
        return None
    ends_at = proven_until(robot, secret_hash(credentials.secret), at)
    rights = [(answer.target, ()) for answer in found]
    # Which of its two secrets was presented shows in the end of what is issued, if anywhere.
    evidence = (*found, ends_at)
    login = LoginKey(ActorKind.ROBOT, robot.id, None, origin.address, origin.user_agent)
    make_actor = partial(_robot_actor, robot, found, origin, ends_at)
    return _recognised(login, make_actor, names, rights, evidence)


def _robot_actor(
    robot: RobotFacts, found: Sequence[RobotStanding], origin: Origin, ends_at: datetime | None
) -> Actor:
    permissions = found[0].permissions
    for answer in found[1:]:
        permissions = {**permissions, **answer.permissions}
    return actor_of(robot, permissions, origin, ends_at=ends_at)


async def _personal_token(secret: str, names: Sequence[str], origin: Origin) -> Recognised | None:
    hashed = secret_hash(secret)
    found = await _found_for(
        names or ("",),
        lambda repository: find_personal_token(
            TokenQuestion(hashed, project_of(repository), repository)
        ),
    )
    token, at = found[0].token, now()
    if token is None or use_is_due(token.last_used_at, at):
        return None
    actor = token_actor(token, origin, at)
    rights = [(answer.target, answer.grants) for answer in found]
    return _recognised(login_key(actor), partial(_same, actor), names, rights, tuple(found))


async def _password(
    credentials: Credentials, names: Sequence[str], origin: Origin
) -> Recognised | None:
    username, address = credentials.username, throttle_address(origin.address)
    found = await _found_for(
        names or ("",),
        lambda repository: find_password(
            PasswordQuestion(username, address, project_of(repository), repository)
        ),
    )
    user = found[0].user
    # While failures are stored, the limits have to be looked at, and a success clears them.
    if user is None or found[0].has_failures or not is_remembered(user, credentials):
        return None
    actor = user_actor(user, origin)
    rights = [(answer.target, answer.grants) for answer in found]
    return _recognised(login_key(actor), partial(_same, actor), names, rights, tuple(found))


def _same(actor: Actor) -> Actor:
    return actor


def _recognised(
    login: LoginKey,
    make_actor: Callable[[], Actor],
    names: Sequence[str],
    rights: Rights,
    evidence: Evidence,
) -> Recognised | None:
    """Put answers together.

    None when the subject was revoked between two of them, or when a name may be a former one of a
    repository, which takes a closer look.
    """
    generation = rights[0][0].generation
    for target, _grants in rights:
        if target.has_redirect or target.generation != generation:
            return None
    standing = partial(_standing, make_actor, generation, names, rights)
    return Recognised(login, make_actor, evidence, standing)


def _standing(
    make_actor: Callable[[], Actor], generation: int, names: Sequence[str], rights: Rights
) -> Standing:
    actor = make_actor()
    # Without names one question was asked, about none.
    by_name = dict(zip(names, rights, strict=False))

    def held(name: str, permissions: Iterable[str]) -> frozenset[str]:
        target, grants = by_name[name]
        return allowed_among(actor, permissions, target.target(name), grants)

    targets = {name: target for name, (target, _) in by_name.items()}
    return Standing(Session(actor, generation), targets, held)


async def _found_for(
    names: Sequence[str], find: Callable[[str], Coroutine[Any, Any, Answer]]
) -> Sequence[Answer]:
    if len(names) == 1:
        return [await find(names[0])]
    return await asyncio.gather(*[find(name) for name in names])
