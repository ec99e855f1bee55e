"""What clients ask tokens for, and what they get (token protocol, "resource scope grammar")."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from core.authn.types import Access
from core.oci.errors import NameInvalid
from core.oci.reference import parse_repository_name
from core.rbac.types import Actor
from registry_api.auth import DENIED_TYPE
from registry_api.challenges import DELETE, PULL, PUSH
from registry_api.errors import RegistryError

_ACTIONS: Final = frozenset({PULL, PUSH, DELETE})
_CATALOG: Final = "catalog"
_EVERYTHING: Final = "*"
_MAX_REPOSITORIES: Final = 100

RequestedScopes = Mapping[tuple[str, str], frozenset[str]]
"""Type and name of each resource asked for, with the actions."""


Held = Callable[[str, Iterable[str]], frozenset[str]]
"""Returns those of some permissions that are held on the repository of a name."""


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
    return requested


def repositories_of(requested: RequestedScopes) -> list[str]:
    """Return the names of the repositories that are asked for."""
    return [name for kind, name in requested if kind == "repository"]


def grant_access(actor: Actor, requested: RequestedScopes, held: Held) -> list[Access]:
    """Return what the actor gets of it, and for each repository what it asked for in vain.

    The refused actions are kept in the token, so that using it answers 403 instead of a
    challenge that would lead to the same token again.
    """
    access: list[Access] = []
    for (kind, name), actions in requested.items():
        if kind == "registry":
            granted = actions if actor.is_system_admin else frozenset[str]()
        else:
            granted = _granted_actions(name, actions, held)
        if granted:
            access.append(Access(kind, name, granted))
        if kind == "repository" and actions - granted:
            access.append(Access(DENIED_TYPE, name, actions - granted))
    return access


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
