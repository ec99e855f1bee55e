"""Mounting: taking a blob over from another repository without moving a byte (end-11)."""

from core.artifacts import queries
from core.artifacts.services import blobs as services
from core.artifacts.types import StoredBlob
from core.authn.errors import InvalidCredentials
from core.authn.services import load_actor
from core.authn.types import RegistryToken
from core.oci.digest import Digest
from core.oci.errors import NameInvalid
from core.oci.reference import parse_repository_name
from core.rbac import services as rbac
from core.rbac.types import Actor
from registry_api import auth
from registry_api.auth import Admission, Caller
from registry_api.calls import Call
from registry_api.challenges import PULL


def mount_blob(call: Call, admission: Admission) -> StoredBlob | None:
    """Link the blob of ``?mount=`` to the repository, or return None for an ordinary upload.

    A source that is missing, unreadable or no name at all is one and the same: the client
    uploads. Raises DigestInvalid.
    """
    digest = Digest.parse(call.parameter("mount") or "")
    source = call.parameter("from")
    if source is not None:
        try:
            source = str(parse_repository_name(source))
        except NameInvalid:
            return None
    caller = admission.caller
    beyond_token = Actor.anonymous(call.origin)
    if caller.token is not None and source is None:
        beyond_token = _with_rights(call, caller.token)
    return services.mount_blob(
        digest,
        source=source,
        target_name=str(admission.name),
        project_id=admission.project_id,
        actor=admission.actor,
        readable=lambda name: may_pull(caller, name, beyond_token=beyond_token),
    )


def may_pull(caller: Caller, name: str, *, beyond_token: Actor) -> bool:
    """Tell whether the caller may pull from a repository that would be the source.

    A token speaks for what it was asked for, if that is still so. Beyond that count the
    rights of ``beyond_token``: everybody's where the client names a source, which it could
    have asked for; its subject's own where the registry looks for one.
    """
    lookup = queries.find_target(name, caller.subject)
    token = caller.token
    if token is not None and token.allows(name, PULL) and auth.is_current(token, name, lookup):
        return True
    actor = caller.actor if token is None else beyond_token
    return rbac.allowed(actor, "repository:pull", lookup.target(name))


def _with_rights(call: Call, token: RegistryToken) -> Actor:
    try:
        return load_actor(token, origin=call.origin)
    except InvalidCredentials:
        return Actor.anonymous(call.origin)
