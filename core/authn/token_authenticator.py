"""Turns a personal access token, presented as a password, into its user with its limits.

The user name that comes with it is not compared: the token names its user by itself, and
clients send all sorts of names with tokens.
"""

from core.authn import queries
from core.authn.errors import InvalidCredentials
from core.authn.models import PersonalToken
from core.authn.rules import storable_address, token_actor, use_is_due
from core.authn.types import Credentials, TokenFacts
from core.common.clock import now as current_time
from core.common.origin import Origin
from core.common.secrets_format import is_well_formed, secret_hash
from core.database.read_only import unless_read_only
from core.rbac.types import Actor
from core.users.types import LoginFacts

PREFIX = "rsd_pat_"


def authenticate(credentials: Credentials, origin: Origin) -> Actor | None:
    """Return the token's user, limited to the token's scopes; None for other secrets.

    Raises ``InvalidCredentials`` when the token is unknown, revoked or expired or its user is
    disabled.
    """
    if not credentials.secret.startswith(PREFIX):
        return None
    if not is_well_formed(credentials.secret, "pat"):
        raise InvalidCredentials
    token = queries.find_personal_token_by_hash(secret_hash(credentials.secret))
    if token is None:
        raise InvalidCredentials
    actor = actor_of(token, origin)
    _note_use(token, origin)
    return actor


def load(subject: str, origin: Origin) -> Actor | None:
    """Return None: a token acts as its user, whom another authenticator loads."""
    return None


def actor_of(token: PersonalToken, origin: Origin) -> Actor:
    """Return the user of a stored token within the token's limits.

    Raises ``InvalidCredentials`` unless both are in force.
    """
    user = token.user
    facts = TokenFacts(
        id=token.pk,
        user=LoginFacts(user.pk, user.username, user.password, user.is_active, user.is_superuser),
        scopes=frozenset(token.scopes),
        project_names=frozenset(token.project_names),
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
    )
    return token_actor(facts, origin, current_time())


def _note_use(token: PersonalToken, origin: Origin) -> None:
    now = current_time()
    if use_is_due(token.last_used_at, now):
        # Of many at the same moment one writes; the others would only wait for each other.
        unnoted = PersonalToken.objects.filter(pk=token.pk, last_used_at=token.last_used_at)
        address = storable_address(origin.address)
        unless_read_only(lambda: unnoted.update(last_used_at=now, last_used_address=address))
