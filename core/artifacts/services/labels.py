"""Labels that are put on manifests and taken off."""

from core.artifacts.errors import LabelAttached, LabelNotAttached
from core.artifacts.services.repositories import share_repository_locked
from core.artifacts.services.tags import share_manifest_locked
from core.audit import services as audit
from core.database import raw
from core.database.transactions import durable_write
from core.labels.models import Label
from core.labels.services import share_label_locked
from core.oci.digest import Digest
from core.rbac.types import Actor
from core.system_settings.queries import ensure_writable_locked

_ADD = """
INSERT INTO artifacts_manifestlabel (manifest_id, label_id) VALUES (%s, %s)
ON CONFLICT (manifest_id, label_id) DO NOTHING
"""
_REMOVE = "DELETE FROM artifacts_manifestlabel WHERE manifest_id = %s AND label_id = %s"


@durable_write
def add_label(repository_name: str, digest: Digest, label_id: int, *, actor: Actor) -> None:
    """Put a label on a manifest: a global one, or one of the repository's project.

    Raises NameUnknown, ManifestUnknown, LabelUnknown, and LabelAttached when it is there.
    """
    ensure_writable_locked()
    repository_id, project_id = share_repository_locked(repository_name)
    manifest_id = share_manifest_locked(repository_id, digest)
    label = share_label_locked(label_id, project_id=project_id)
    if not raw.execute(_ADD, (manifest_id, label.pk)):
        raise LabelAttached
    _record("artifact.label_added", actor, repository_name, project_id, digest, label)


@durable_write
def remove_label(repository_name: str, digest: Digest, label_id: int, *, actor: Actor) -> None:
    """Take a label off a manifest.

    Raises NameUnknown, ManifestUnknown, LabelUnknown, and LabelNotAttached.
    """
    ensure_writable_locked()
    repository_id, project_id = share_repository_locked(repository_name)
    manifest_id = share_manifest_locked(repository_id, digest)
    label = share_label_locked(label_id, project_id=project_id)
    if not raw.execute(_REMOVE, (manifest_id, label.pk)):
        raise LabelNotAttached
    _record("artifact.label_removed", actor, repository_name, project_id, digest, label)


def _record(
    action: str,
    actor: Actor,
    repository_name: str,
    project_id: int,
    digest: Digest,
    label: Label,
) -> None:
    audit.record(
        action,
        actor,
        target_kind="artifact",
        target_label=f"{repository_name}@{digest}",
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={"digest": str(digest), "label": label.name, "label_id": label.pk},
    )
