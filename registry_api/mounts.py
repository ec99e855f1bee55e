"""Mounting: taking a blob over from another repository without moving a byte (end-11)."""

from core.artifacts import queries
from core.artifacts.services import blobs as services
from core.artifacts.types import StoredBlob, Viewer
from core.oci.digest import Digest
from core.oci.errors import NameInvalid
from core.oci.reference import parse_repository_name
from core.rbac import services as rbac
from core.rbac.types import Actor
from registry_api.auth import Admission
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
    return services.mount_blob(
        digest,
        source=source,
        target_name=str(admission.name),
        project_id=admission.project_id,
        actor=admission.actor,
        readable=lambda name: may_pull(admission, name),
    )


def may_pull(admission: Admission, name: str) -> bool:
    """Tell whether the caller may pull from a repository it pushes to or names as a source.

    A token speaks for what it was asked for; beyond that, what everybody may read counts.
    """
    caller = admission.caller
    if caller.token is not None and caller.token.allows(name, PULL):
        return True
    actor = caller.actor if caller.token is None else Actor.anonymous(caller.actor.origin)
    target = queries.find_target(name, Viewer(actor.subject, None)).target(name)
    return rbac.allowed(actor, "repository:pull", target)
