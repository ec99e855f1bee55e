"""The quick way to a token: one look-up proves the credentials and finds the rights.

Only what needs nothing else goes this way: the secret of a robot, a personal access token, and
a password that this process has verified within the last minute. Whatever does not hold, is
throttled, or has something to be written first is left to ``core.authn.services``, which counts,
audits and words every refusal. Credentials go to the sort that the ``AUTHENTICATORS`` in the
settings would choose, and the same rules decide.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from core.artifacts.types import TargetLookup
from core.authn.errors import InvalidCredentials
from core.authn.password_authenticator import is_remembered
from core.authn.rules import (
    is_presentable,
    is_unguessable,
    throttle_address,
    token_actor,
    use_is_due,
    user_actor,
)
from core.authn.token_authenticator import PREFIX
from core.authn.types import Credentials, Session
from core.common.clock import now
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed, secret_hash
from core.grants.lookups import PasswordQuestion, TokenQuestion
from core.rbac.rules import allowed_among
from core.rbac.types import Actor, Grant
from core.robots.lookups import RobotQuestion
from core.robots.queries import robot_name_prefix
from core.robots.rules import actor_of, parse_full_name, proven_until
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


async def recognise(
    credentials: Credentials, names: Sequence[str], origin: Origin
) -> Standing | None:
    """Return who the credentials prove, and what it may do with the repositories of the names.

    None says nothing about the credentials: ask ``core.authn.services``.
    """
    username, secret = credentials.username, credentials.secret
    if not is_presentable(username, secret):
        return None
    try:
        if username.startswith(robot_name_prefix()):
            return await _robot(credentials, names, origin)
        if secret.startswith(PREFIX):
            return await _personal_token(secret, names, origin)
    except InvalidCredentials:
        return None
    return None if is_unguessable(secret) else await _password(credentials, names, origin)


async def anybody(names: Sequence[str], origin: Origin) -> Standing:
    """Return what everybody may do with the repositories of the names."""
    actor = Actor.anonymous(origin)
    targets = await _all(find_target(name, actor.subject) for name in names)
    rights = [(target, ()) for target in targets]
    return _decided(Session(actor, generation=0), names, rights)


async def _robot(credentials: Credentials, names: Sequence[str], origin: Origin) -> Standing | None:
    name = parse_full_name(credentials.username, prefix=robot_name_prefix())
    if name is None or not is_well_formed(credentials.secret, "rob"):
        return None
    found = await _all(
        find_robot(RobotQuestion(name.project_name, name.name, project_of(repository)))
        for repository in names or ("",)
    )
    robot, at = found[0].robot, now()
    if robot is None or use_is_due(robot.last_used_at, at):
        return None
    ends_at = proven_until(robot, secret_hash(credentials.secret), at)
    permissions = {
        project: held for answer in found for project, held in answer.permissions.items()
    }
    actor = actor_of(robot, permissions, origin, ends_at=ends_at)
    return _standing(actor, names, [(answer.target, ()) for answer in found])


async def _personal_token(secret: str, names: Sequence[str], origin: Origin) -> Standing | None:
    if not is_well_formed(secret, "pat"):
        return None
    hashed = secret_hash(secret)
    found = await _all(
        find_personal_token(TokenQuestion(hashed, project_of(repository), repository))
        for repository in names or ("",)
    )
    token, at = found[0].token, now()
    if token is None or use_is_due(token.last_used_at, at):
        return None
    actor = token_actor(token, origin, at)
    return _standing(actor, names, [(answer.target, answer.grants) for answer in found])


async def _password(
    credentials: Credentials, names: Sequence[str], origin: Origin
) -> Standing | None:
    username, address = credentials.username, throttle_address(origin.address)
    found = await _all(
        find_password(PasswordQuestion(username, address, project_of(repository), repository))
        for repository in names or ("",)
    )
    user = found[0].user
    # While failures are stored, the limits have to be looked at, and a success clears them.
    if user is None or found[0].has_failures or not is_remembered(user, credentials):
        return None
    actor = user_actor(user, origin)
    return _standing(actor, names, [(answer.target, answer.grants) for answer in found])


def _standing(actor: Actor, names: Sequence[str], rights: Rights) -> Standing | None:
    """Put answers together; None when the subject was revoked between two of them."""
    generations = {target.generation for target, _ in rights}
    if len(generations) > 1:
        return None
    return _decided(Session(actor, generations.pop()), names, rights)


def _decided(session: Session, names: Sequence[str], rights: Rights) -> Standing:
    # Without names one question was asked, about none.
    by_name = dict(zip(names, rights, strict=False))

    def held(name: str, permissions: Iterable[str]) -> frozenset[str]:
        target, grants = by_name[name]
        return allowed_among(session.actor, permissions, target.target(name), grants)

    return Standing(session, {name: target for name, (target, _) in by_name.items()}, held)


async def _all(answers: Iterable[Coroutine[Any, Any, Answer]]) -> Sequence[Answer]:
    asked = list(answers)
    return [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
