"""Turns a robot's name and secret into an actor; named in the setting ``AUTHENTICATORS``.

One statement for each login, and one more for robots of the system that name projects. Every
name that begins with the robot prefix is a robot's, so such a login never reaches the
password check of people. Secrets that somebody chose have the limits and the costs of passwords.
"""

from datetime import datetime

from core.authn.errors import InvalidCredentials
from core.authn.guessable_secrets import Holder, verify
from core.authn.rules import use_is_due
from core.authn.types import Credentials
from core.common.clock import now as current_time
from core.common.origin import Origin
from core.common.secrets_format import MARK, is_well_formed, secret_hash
from core.database.read_only import unless_read_only
from core.rbac.types import Actor, ActorKind
from core.robots import queries, rules
from core.robots.models import Robot
from core.robots.types import RobotFacts, RobotLogin

_SUBJECT_PREFIX = f"{ActorKind.ROBOT}:"


def authenticate(credentials: Credentials, origin: Origin) -> Actor | None:
    """Return the robot's actor, or None when the name is not a robot's.

    Raises ``InvalidCredentials`` alike for unknown, disabled and expired robots and for a
    wrong secret, so that a caller learns nothing about which robots there are; for a secret that
    somebody may have chosen also ``LoginThrottled``.
    """
    if not credentials.username.startswith(queries.robot_name_prefix()):
        return None
    if credentials.secret.startswith(MARK):
        login, presented_hash = _find_by_made_secret(credentials)
    else:
        login, presented_hash = _find_by_chosen_secret(credentials, origin)
    at = current_time()
    ends_at = rules.proven_until(login.facts, presented_hash, at)
    _note_use(login.facts, at)
    return rules.actor_of(login.facts, queries.permissions_of(login), origin, ends_at=ends_at)


def load(subject: str, origin: Origin) -> Actor | None:
    """Return the actor of a subject such as ``robot:7``, or None when it is no robot.

    Raises ``InvalidCredentials`` when the robot is gone, disabled or expired.
    """
    robot_id = subject.removeprefix(_SUBJECT_PREFIX)
    if not subject.startswith(_SUBJECT_PREFIX) or not robot_id.isdecimal():
        return None
    login = queries.find_login_of(int(robot_id))
    at = current_time()
    if login is None:
        raise InvalidCredentials
    rules.ensure_usable(login.facts, at)
    _note_use(login.facts, at)
    ends_at = login.facts.expires_at
    return rules.actor_of(login.facts, queries.permissions_of(login), origin, ends_at=ends_at)


def _find_by_made_secret(credentials: Credentials) -> tuple[RobotLogin, bytes]:
    if not is_well_formed(credentials.secret, "rob"):
        raise InvalidCredentials
    login = queries.find_login(credentials.username)
    if login is None:
        raise InvalidCredentials
    return login, secret_hash(credentials.secret)


def _find_by_chosen_secret(credentials: Credentials, origin: Origin) -> tuple[RobotLogin, bytes]:
    verdict = verify(credentials, origin, lambda: _holder(credentials.username))
    if verdict.found is None or verdict.matching_hash is None:
        raise InvalidCredentials
    return verdict.found, verdict.matching_hash.encode()


def _holder(username: str) -> Holder[RobotLogin | None]:
    login = queries.find_login(username)
    if login is None:
        return Holder(None)
    robot = login.facts
    hashes = rules.chosen_hashes_in_force(robot, current_time())
    return Holder(login, f"{_SUBJECT_PREFIX}{robot.id}", hashes)


def _note_use(robot: RobotFacts, at: datetime) -> None:
    if use_is_due(robot.last_used_at, at):
        # Of many at the same moment one writes; the others would only wait for each other.
        unnoted = Robot.objects.filter(pk=robot.id, last_used_at=robot.last_used_at)
        unless_read_only(lambda: unnoted.update(last_used_at=at))
