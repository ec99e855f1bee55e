"""The quick way to a token: one look-up proves the credentials and finds the rights.

Only what needs nothing else goes this way: a secret that was made here for a robot, a personal
access token, and a password that this process has verified within the last minute. Whatever does
not hold, is throttled, or has something to be written first is left to ``core.authn.services``,
which counts, audits and words every refusal. Credentials go to the sort that the
``AUTHENTICATORS`` in the settings would choose, and the same rules decide.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from core.artifacts.types import TargetLookup
from core.authn.password_authenticator import is_remembered
from core.authn.rules import (
    is_presentable,
    is_unguessable,
    token_actor,
    use_is_due,
    user_actor,
)
from core.authn.throttle import are_failures_remembered
from core.authn.token_authenticator import PREFIX
from core.authn.types import Credentials, Session
from core.common.clock import now
from core.common.origin import Origin, throttle_address
from core.common.secrets_format import MARK, secret_hash
from core.grants.lookups import (
    PasswordQuestion,
    PasswordStanding,
    TokenQuestion,
    TokenStanding,
)
from core.rbac.rules import allowed_among
from core.rbac.types import Actor, Grant
from core.robots.lookups import RobotQuestion, RobotStanding
from core.robots.rules import actor_of, parse_full_name, proven_until
from core.system_settings import queries as system_settings
from registry_api.lookups import (
    PASSWORD_STANDINGS,
    ROBOT_STANDINGS,
    TOKEN_STANDINGS,
    find_target,
    project_of,
)
from registry_api.remembered import fingerprint
from registry_api.scopes import Standing

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Answers = tuple[Any, ...]
"""What a look-up says of each name. While rows stay the same, so do the answers."""
Rights = Sequence[tuple[TargetLookup, Sequence[Grant]]]
"""Where each name leads, and what was granted there."""


class Recognised(NamedTuple):
    """Who makes a request, and what it may do."""

    actor: Actor
    standing: Standing


class Undecided(Exception):
    """What is quick does not tell; ask ``core.authn.services``."""


class Inquiry(NamedTuple):
    """What to look up for a login, and what follows from the answers.

    In the same second, equal answers lead to the same conclusion, but for the actor's origin.
    Both raise Undecided, and ``conclude`` also InvalidCredentials.
    """

    look_up: Callable[[Origin], Coroutine[Any, Any, Answers]]
    conclude: Callable[[Answers, Origin], Recognised]


def inquiry_about(credentials: Credentials, names: Sequence[str]) -> Inquiry:
    """Return how to find out whom the credentials prove, and what it may do with repositories.

    ``names`` are those of the repositories. Raises Undecided.
    """
    username, secret = credentials.username, credentials.secret
    if not is_presentable(username, secret) or not system_settings.is_recent():
        raise Undecided
    prefix = system_settings.remembered().robot_name_prefix
    if username.startswith(prefix):
        return _about_robot(credentials, prefix, names)
    if secret.startswith(PREFIX):
        return _about_personal_token(secret, names)
    if is_unguessable(secret):
        raise Undecided
    return _about_password(credentials, names)


def inquiry_about_anybody(names: Sequence[str]) -> Inquiry:
    """Return the same for everybody, with what is public."""

    async def look_up(origin: Origin) -> Answers:
        subject = Actor.anonymous(origin).subject
        found = await _answers(lambda name: find_target(name, subject), names)
        return tuple(
            [
                await _followed(name, target, subject) if target.has_redirect else target
                for name, target in zip(names, found, strict=True)
            ]
        )

    def conclude(found: Answers, origin: Origin) -> Recognised:
        rights = [(target, ()) for target in found]
        return _with_rights(Actor.anonymous(origin), 0, names, rights)

    return Inquiry(look_up, conclude)


async def _followed(name: str, target: TargetLookup, subject: str) -> TargetLookup:
    """Return where a former name leads everybody, which is where the project is public.

    Nobody may push without credentials, so such a name never means anything else.
    """
    found = await find_target(name, subject, redirected=True)
    is_public = found.project is not None and found.project.is_public
    return found if is_public and found.redirected_to is not None else target


def _about_robot(credentials: Credentials, prefix: str, names: Sequence[str]) -> Inquiry:
    name = parse_full_name(credentials.username, prefix=prefix)
    if name is None or not credentials.secret.startswith(MARK):
        # A secret that somebody chose is throttled, and slow to verify.
        raise Undecided
    hashed = secret_hash(credentials.secret)
    questions = [
        RobotQuestion(name.project_name, name.name, project, repository)
        for project, repository in _asked_about(names)
    ]

    def conclude(found: Sequence[RobotStanding], origin: Origin) -> Recognised:
        robot, at = found[0].robot, now()
        if robot is None or use_is_due(robot.last_used_at, at):
            raise Undecided
        ends_at = proven_until(robot, hashed, at)
        ROBOT_STANDINGS.keep(questions, hashed, found)
        permissions = {key: held for answer in found for key, held in answer.permissions.items()}
        actor = actor_of(robot, permissions, origin, ends_at=ends_at)
        return _recognised(actor, names, [(answer.target, ()) for answer in found])

    find = partial(ROBOT_STANDINGS.ask, proof=hashed)
    return Inquiry(lambda _origin: _answers(find, questions), conclude)


def _about_personal_token(secret: str, names: Sequence[str]) -> Inquiry:
    hashed = secret_hash(secret)
    questions = [TokenQuestion(hashed, *asked) for asked in _asked_about(names)]

    def conclude(found: Sequence[TokenStanding], origin: Origin) -> Recognised:
        token, at = found[0].token, now()
        if token is None or use_is_due(token.last_used_at, at):
            raise Undecided
        actor = token_actor(token, origin, at)
        TOKEN_STANDINGS.keep(questions, hashed, found)
        return _recognised(actor, names, [(answer.target, answer.grants) for answer in found])

    find = partial(TOKEN_STANDINGS.ask, proof=hashed)
    return Inquiry(lambda _origin: _answers(find, questions), conclude)


def _about_password(credentials: Credentials, names: Sequence[str]) -> Inquiry:
    username, asked_about = credentials.username, _asked_about(names)
    proof = fingerprint(credentials.secret)
    find = partial(PASSWORD_STANDINGS.ask, proof=proof)

    def questions_from(origin: Origin) -> list[PasswordQuestion]:
        address = throttle_address(origin.address)
        return [PasswordQuestion(username, address, *asked) for asked in asked_about]

    def look_up(origin: Origin) -> Coroutine[Any, Any, Answers]:
        if are_failures_remembered():
            # As with failures that are stored, or a password could be guessed while it is in use.
            raise Undecided
        return _answers(find, questions_from(origin))

    def conclude(found: Sequence[PasswordStanding], origin: Origin) -> Recognised:
        user = found[0].user
        # While failures are stored, the limits have to be looked at, and a success clears them.
        if user is None or found[0].has_failures or not is_remembered(user, credentials):
            raise Undecided
        PASSWORD_STANDINGS.keep(questions_from(origin), proof, found)
        rights = [(answer.target, answer.grants) for answer in found]
        return _recognised(user_actor(user, origin), names, rights)

    return Inquiry(look_up, conclude)


def _recognised(actor: Actor, names: Sequence[str], rights: Rights) -> Recognised:
    """Put answers together.

    Raises Undecided when the subject was revoked between two of them.
    """
    generation = rights[0][0].generation
    if any(target.generation != generation for target, _grants in rights):
        raise Undecided
    return _with_rights(actor, generation, names, rights)


def _with_rights(actor: Actor, generation: int, names: Sequence[str], rights: Rights) -> Recognised:
    # Without names one question was asked, about none.
    by_name = dict(zip(names, rights, strict=False))

    def held(name: str, permissions: Iterable[str]) -> frozenset[str]:
        target, grants = by_name[name]
        return allowed_among(actor, permissions, target.target(name), grants)

    targets = {name: target for name, (target, _) in by_name.items()}
    return Recognised(actor, Standing(Session(actor, generation), targets, held))


def _asked_about(names: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return project and name of each repository, or the question about none."""
    return [(project_of(repository), repository) for repository in names or ("",)]


async def ensure_no_former_name(names: Sequence[str]) -> None:
    """Let nobody have a quick token for what may be a former name of a repository.

    ``names`` are those without a repository. Asked apart, since few are; and behind the proof of
    credentials, for with it the answer takes longer where there is no repository. Raises Undecided.
    """
    # The answer is the same for everybody.
    targets = await _answers(lambda name: find_target(name, ""), names)
    if any(target.has_redirect for target in targets):
        raise Undecided


async def _answers(
    find: Callable[[Question], Coroutine[Any, Any, Answer]], questions: Sequence[Question]
) -> tuple[Answer, ...]:
    if len(questions) == 1:
        return (await find(questions[0]),)
    return tuple(await asyncio.gather(*[find(question) for question in questions]))
