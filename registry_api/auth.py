"""Who calls, what the caller may do, and the challenge for those who may not (yet).

A registry token carries what it was granted. Every look-up re-reads, in its one statement,
whether the subject's tokens were revoked, whether the project is still the same, and whether it
has become private since; so nothing is cached that a write must change at once.

Answers, in order: no or unusable credentials 401; a token that was never asked for the
needed action 401 ``insufficient_scope``, so that the client asks once; a token that was asked
and refused 403, so that it does not ask for ever. A repository that the caller may not pull
is answered exactly like one that does not exist.

Pulls find a repository by its former names, too. A token names such a name in full among its
projects, with the project that it led to, and grants pulls by it as long as it does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from core.artifacts import queries
from core.artifacts.types import TargetLookup
from core.audit.buffer import record_buffered
from core.audit.types import AuditRecord, Outcome
from core.authn import registry_tokens
from core.authn.errors import InvalidCredentials, RegistryTokenInvalid
from core.authn.login_records import record_login
from core.authn.services import authenticate, load_actor, verify_credentials
from core.authn.types import Credentials, RegistryToken
from core.common.clock import now
from core.oci.reference import RepositoryName
from core.rbac import services as rbac
from core.rbac.types import Actor, ActorKind, Target
from registry_api.calls import Call
from registry_api.challenges import DELETE, INSUFFICIENT_SCOPE, INVALID_TOKEN, PULL, PUSH, challenge
from registry_api.errors import RegistryError
from registry_api.lookups import find_target
from registry_api.threads import Work, in_thread

DENIED_TYPE: Final = "denied"
"""Type of the token entries that list what was asked for and refused."""

_DENIED_MESSAGE: Final = "Requested access to the resource is denied."


Found = TypeVar("Found", bound=TargetLookup)


class Caller:
    """Whoever makes a request.

    ``subject`` says on whose behalf look-ups read, and ``token`` is None when the credentials came
    with the request.
    """

    __slots__ = ("_call", "_proof", "subject", "token")

    def __init__(self, call: Call, proof: RegistryToken | Actor) -> None:
        """Take what proves who it is."""
        self._call = call
        self._proof = proof
        self.subject = proof.subject
        self.token = proof if isinstance(proof, RegistryToken) else None

    @property
    def actor(self) -> Actor:
        """Who is named in records; most reads name nobody."""
        proof = self._proof
        return proof if isinstance(proof, Actor) else proof.as_actor(self._call.origin)

    def follows_redirect(self, name: str) -> bool:
        """Whether the token was issued for where a former name of a repository leads."""
        return self.token is not None and name in self.token.projects

    @property
    def has_expired_token(self) -> bool:
        """Whether the token is only good for finishing an upload."""
        return self.token is not None and self.token.expires_at <= now()


def work_of(call: Call) -> Work:
    """Return the threads for a request's look-ups: its own if credentials must be checked."""
    uses_password = call.headers.get("authorization", "")[:6].lower() == "basic "
    return Work.LOGIN if uses_password else Work.LOOKUP


async def identified(call: Call, *, grace: timedelta = timedelta()) -> Caller:
    """Return the caller without leaving the event loop when the token is a remembered one.

    Raises what ``identify`` does.
    """
    header = call.headers.get("authorization", "")
    if header[:7].lower() == "bearer ":
        token = registry_tokens.recall(header[7:].strip(), service=call.external.service)
        if token is not None:
            return Caller(call, token)
    return await in_thread(work_of(call), identify, call, grace=grace)


def identify(call: Call, *, grace: timedelta = timedelta(), is_login: bool = False) -> Caller:
    """Return the caller.

    ``grace`` accepts tokens that expired less than that ago. ``is_login`` audits credentials
    that hold each time. Raises RegistryError 401 with a challenge, InvalidCredentials and
    LoginThrottled.
    """
    header = call.headers.get("authorization")
    if header is None:
        raise challenge(call)
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return _bearer(call, value.strip(), grace)
    if scheme.lower() == "basic":
        credentials = Credentials.from_basic(value)
        if credentials is None:
            raise challenge(call)
        if not is_login:
            return Caller(call, authenticate(credentials, origin=call.origin))
        actor = verify_credentials(credentials, origin=call.origin)
        record_login(actor)
        return Caller(call, actor)
    raise challenge(call)


def require_scope(call: Call, caller: Caller, name: RepositoryName, action: str) -> None:
    """Let pass a token that grants the action, and any caller without a token.

    Raises RegistryError 401 or 403.
    """
    if caller.token is None or caller.token.allows(str(name), action):
        return
    if _was_refused(caller.token, str(name), action):
        raise denied(caller, str(name), action)
    raise challenge(call, error=INSUFFICIENT_SCOPE, action=action)


def require_current(
    call: Call, caller: Caller, name: RepositoryName, action: str, lookup: TargetLookup
) -> None:
    """Check what a token cannot know: revocation, the project, and rights without a token.

    Raises RegistryError 401 or 403.
    """
    if caller.token is None:
        if not rbac.allowed(caller.actor, f"repository:{action}", lookup.target(str(name))):
            raise denied(caller, str(name), action)
    elif not is_current(caller.token, str(name), lookup):
        raise challenge(call, error=INVALID_TOKEN, action=action)


def is_current(token: RegistryToken, name: str, lookup: TargetLookup) -> bool:
    """Tell whether what a token grants in a repository still counts where a look-up led."""
    if token.generation != lookup.generation:
        # Rights or credentials of the subject were withdrawn since.
        return False
    project, first = lookup.project, name.partition("/")[0]
    # A token for a former name counts where that leads, and one for a name where that is.
    key = first if lookup.redirected_to is None else name
    if project is None:
        # A project that was there has been deleted, or renamed: a new token knows.
        is_known = first in token.projects or name in token.projects
        return not is_known and token.kind is not ActorKind.ANONYMOUS
    if token.kind is ActorKind.ANONYMOUS and not project.is_public:
        return False
    if key is first and name in token.projects:
        return False
    # Another project may have taken the name, and what was public may have become private.
    return token.projects.get(key) == (project.id, project.generation)


def require_unrevoked(call: Call, caller: Caller, generation: int) -> None:
    """Let pass a token whose subject has kept its rights and credentials since it was issued.

    ``generation`` is the subject's present one. For requests about no repository. Raises
    RegistryError 401.
    """
    if caller.token is not None and caller.token.generation != generation:
        raise challenge(call, error=INVALID_TOKEN)


async def required_current(
    call: Call, caller: Caller, name: RepositoryName, action: str, lookup: TargetLookup
) -> None:
    """Do the same from the event loop: only callers without a token cost a thread."""
    if caller.token is None:
        await in_thread(Work.LOOKUP, require_current, call, caller, name, action, lookup)
    else:
        require_current(call, caller, name, action, lookup)


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller who may do what the request asks for, and where."""

    caller: Caller
    name: RepositoryName
    project_id: int
    repository_id: int | None
    target: Target

    @property
    def actor(self) -> Actor:
        """Who is named in records."""
        return self.caller.actor


def admit(call: Call, action: str, *, grace: timedelta = timedelta()) -> Admission:
    """Check all that must hold before a request touches a repository.

    Costs one statement when the caller has a token.
    Raises RegistryError 401, 403, and 404 when the project does not exist (for callers who
    would have the right), NameInvalid, InvalidCredentials and LoginThrottled.
    """
    caller = identify(call, grace=grace)
    name = call.repository_name()
    require_scope(call, caller, name, action)
    lookup = queries.find_target(str(name), caller.subject)
    if action == PULL and lookup.repository_id is None and _may_follow(caller, str(name)):
        redirected = queries.find_redirected_target(str(name), caller.subject)
        lookup = lookup if redirected.redirected_to is None else redirected
    require_current(call, caller, name, action, lookup)
    return _admission(caller, name, lookup)


async def followed(
    caller: Caller, name: RepositoryName, find: Callable[..., Awaitable[Found]]
) -> Found:
    """Return what a pull finds under a name, or where a redirect from it leads.

    A token says itself whether it was issued for a redirect, so its look-up is one statement.
    For callers without a token, a redirect is looked for when there is nothing else.
    """
    if caller.token is not None:
        return await find(redirected=caller.follows_redirect(str(name)))
    lookup = await find()
    if lookup.repository_id is not None:
        return lookup
    redirected = await find(redirected=True)
    return lookup if redirected.redirected_to is None else redirected


def _may_follow(caller: Caller, name: str) -> bool:
    return caller.token is None or caller.follows_redirect(name)


async def admitted(call: Call, action: str, *, grace: timedelta = timedelta()) -> Admission:
    """Do the same from the event loop: a caller with a token costs no thread."""
    caller = await identified(call, grace=grace)
    name = call.repository_name()
    require_scope(call, caller, name, action)
    lookup = await find_target(str(name), caller.subject)
    await required_current(call, caller, name, action, lookup)
    return _admission(caller, name, lookup)


def _admission(caller: Caller, name: RepositoryName, lookup: TargetLookup) -> Admission:
    if lookup.project is None:
        raise RegistryError("NAME_UNKNOWN")
    return Admission(
        caller, name, lookup.project.id, lookup.repository_id, lookup.target(str(name))
    )


def is_pusher(caller: Caller, name: RepositoryName, lookup: TargetLookup) -> bool:
    """Tell whether an admitted caller may push as well, so that content must stay for it."""
    if caller.token is not None:
        return caller.token.allows(str(name), PUSH)
    return rbac.allowed(caller.actor, f"repository:{PUSH}", lookup.target(str(name)))


def denied(caller: Caller, name: str, action: str) -> RegistryError:
    """Record a refused push or delete and return the one answer for it."""
    if action != PULL:
        record_buffered(
            AuditRecord(
                action="artifact.deleted" if action == DELETE else "artifact.pushed",
                actor=caller.actor,
                target_kind="repository",
                target_label=name,
                project_name=name.partition("/")[0],
                outcome=Outcome.DENIED,
            )
        )
    return RegistryError("DENIED", _DENIED_MESSAGE)


def _bearer(call: Call, text: str, grace: timedelta) -> Caller:
    try:
        token = registry_tokens.verify(
            text,
            service=call.external.service,
            expired_grace_seconds=int(grace.total_seconds()),
        )
        caller = Caller(call, token)
        if caller.has_expired_token:
            # The grace is for tokens; a robot or a personal token that has ended has none.
            load_actor(token, origin=call.origin)
    except (RegistryTokenInvalid, InvalidCredentials) as error:
        raise challenge(call, error=INVALID_TOKEN) from error
    return caller


def _was_refused(token: RegistryToken, name: str, action: str) -> bool:
    return any(
        entry.type == DENIED_TYPE and entry.name == name and action in entry.actions
        for entry in token.access
    )
