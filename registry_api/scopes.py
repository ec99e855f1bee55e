"""What clients ask tokens for, and what they get (token protocol, "resource scope grammar")."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.artifacts.types import TargetLookup
from core.authn.types import Access, ProjectStamp, Session
from core.oci.errors import NameInvalid
from core.oci.reference import parse_repository_name
from core.rbac.services import allowed
from core.rbac.types import Actor
from registry_api.auth import DENIED_TYPE
from registry_api.challenges import DELETE, PULL, PUSH
from registry_api.errors import RegistryError

_ACTIONS: Final = frozenset({PULL, PUSH, DELETE})
_CATALOG: Final = "catalog"
_EVERYTHING: Final = "*"
_MAX_REPOSITORIES: Final = 100

RequestedScopes = tuple[tuple[str, str, frozenset[str]], ...]
"""Type, name and actions of each resource asked for."""

Held = Callable[[str, Iterable[str]], frozenset[str]]
"""Returns those of some permissions that are held on the repository of a name."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A session, where the repositories that are asked for lead, and what is held on them."""

    session: Session
    targets: Mapping[str, TargetLookup]
    held: Held

    def without_repository(self) -> list[str]:
        """Return those of the names that are none of a repository."""
        return [name for name, target in self.targets.items() if target.repository_id is None]


def parse_scopes(texts: Iterable[str]) -> RequestedScopes:
    """Return what is asked for, from scopes that are repeated, joined by spaces, or both.

    Types and actions that are not known are dropped: to be granted less is no error. Raises
    RegistryError when more repositories are named than any client needs.
    """
    requested: dict[tuple[str, str], frozenset[str]] = {}
    for text in (scope for joined in texts for scope in joined.split()):
        resource = _parse_scope(text)
        if resource is not None:
            kind, name, actions = resource
            requested[kind, name] = requested.get((kind, name), frozenset()) | actions
    if len(requested) > _MAX_REPOSITORIES:
        message = f"A token names at most {_MAX_REPOSITORIES} repositories."
        raise RegistryError("UNSUPPORTED", message, status=400)
    return tuple((kind, name, actions) for (kind, name), actions in requested.items())


def repositories_of(requested: RequestedScopes) -> list[str]:
    """Return the names of the repositories that are asked for."""
    return [name for kind, name, _actions in requested if kind == "repository"]


def settle(
    actor: Actor,
    requested: RequestedScopes,
    targets: Mapping[str, TargetLookup],
    redirects: Mapping[str, TargetLookup],
) -> Mapping[str, TargetLookup]:
    """Return where each name leads somebody, of itself or as a former name of a repository.

    Whoever asks to push and may push means the name itself, where a repository may come to
    be; and where a former name leads is known only to those who may pull there.
    """
    settled = dict(targets)
    for kind, name, actions in requested:
        redirect = redirects.get(name) if kind == "repository" else None
        if redirect is None or redirect.redirected_to is None:
            continue
        own = targets[name]
        is_own = own.project is not None and PUSH in actions
        if is_own and allowed(actor, f"repository:{PUSH}", own.target(name)):
            continue
        if allowed(actor, f"repository:{PULL}", redirect.target(name)):
            settled[name] = redirect
    return settled


def grant_access(standing: Standing, requested: RequestedScopes) -> list[Access]:
    """Return what somebody gets of it, and for each repository what it asked for in vain.

    The refused actions are kept in the token, so that using it answers 403 instead of a
    challenge that would lead to the same token again.
    """
    access: list[Access] = []
    for kind, name, actions in requested:
        if kind == "registry":
            is_administrator = standing.session.actor.is_system_admin
            granted = actions if is_administrator else frozenset[str]()
        else:
            wanted = actions
            if standing.targets[name].redirected_to is not None:
                # By a former name a repository can be pulled, and nothing else.
                wanted = actions & {PULL}
            granted = _granted_actions(name, wanted, standing.held)
        if granted:
            access.append(Access(kind, name, granted))
        if kind == "repository" and actions - granted:
            access.append(Access(DENIED_TYPE, name, actions - granted))
    return access


def stamps_of(targets: Mapping[str, TargetLookup]) -> Mapping[str, ProjectStamp]:
    """Return which projects the names mean; missing ones mean nothing yet.

    When two look-ups have found different ones under the same name, it means neither: what was
    granted in one of them must not be used in the other. A former name of a repository stands
    by itself and in full, for the project it leads to.
    """
    stamps: dict[str, set[ProjectStamp]] = {}
    for name, target in targets.items():
        if target.project is not None:
            stamp = ProjectStamp(target.project.id, target.project.generation)
            key = name if target.redirected_to is not None else name.partition("/")[0]
            stamps.setdefault(key, set()).add(stamp)
    return {project: found.pop() for project, found in stamps.items() if len(found) == 1}


def granted_scope(access: Sequence[Access]) -> str:
    """Return the ``scope`` member of an answer (RFC 6749, section 5.1)."""
    return " ".join(
        f"{entry.type}:{entry.name}:{','.join(sorted(entry.actions))}"
        for entry in access
        if entry.type != DENIED_TYPE
    )


def _parse_scope(text: str) -> tuple[str, str, frozenset[str]] | None:
    """Return type, name and actions; names may hold colons, so the outermost ones separate."""
    kind, _, rest = text.partition(":")
    name, _, listed = rest.rpartition(":")
    actions = frozenset(listed.split(","))
    if kind == "registry" and name == _CATALOG:
        return (kind, name, frozenset({_EVERYTHING})) if _EVERYTHING in actions else None
    if kind != "repository":
        return None
    try:
        parse_repository_name(name)
    except NameInvalid:
        return None
    known = _ACTIONS if _EVERYTHING in actions else actions & _ACTIONS
    return (kind, name, known) if known else None


def _granted_actions(name: str, actions: frozenset[str], held: Held) -> frozenset[str]:
    permissions = held(name, [f"repository:{action}" for action in actions])
    return frozenset(action for action in actions if f"repository:{action}" in permissions)
