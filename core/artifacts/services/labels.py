"""Labels that are put on manifests, taken off, and copied along."""

from collections.abc import Sequence

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

_HAS_LABELS = """
SELECT FROM artifacts_manifestlabel WHERE manifest_id = ANY(%s::bigint[]) LIMIT 1
"""
_SHARE_COPIES = """
SELECT copy.id FROM artifacts_manifest source JOIN artifacts_manifest copy
    ON copy.repository_id = %s AND copy.digest = source.digest
 WHERE source.id = ANY(%s::bigint[])
 ORDER BY copy.id FOR KEY SHARE OF copy
"""
_SHARE_LABELS = """
SELECT id FROM labels_label
 WHERE id IN (SELECT label_id FROM artifacts_manifestlabel WHERE manifest_id = ANY(%s::bigint[]))
   AND (project_id IS NULL OR project_id = %s)
 ORDER BY id FOR KEY SHARE
"""
_COPY = """
WITH copied AS (
     INSERT INTO artifacts_manifestlabel (manifest_id, label_id)
     SELECT copy.id, held.label_id
       FROM artifacts_manifestlabel held
       JOIN artifacts_manifest source ON source.id = held.manifest_id
       JOIN artifacts_manifest copy
         ON copy.id = ANY(%s::bigint[]) AND copy.digest = source.digest
      WHERE source.id = ANY(%s::bigint[]) AND held.label_id = ANY(%s::bigint[])
     ON CONFLICT (manifest_id, label_id) DO NOTHING RETURNING manifest_id, label_id)
SELECT m.digest, copied.label_id
  FROM copied JOIN artifacts_manifest m ON m.id = copied.manifest_id
 ORDER BY copied.manifest_id, copied.label_id
"""


def copy_labels(manifest_ids: Sequence[int], repository_name: str, *, actor: Actor) -> None:
    """Put the labels of manifests on their copies in a repository, which may lack some of them.

    Labels of a project stay within it. Raises NameUnknown.
    """
    if raw.fetch_one(_HAS_LABELS, (list(manifest_ids),)) is not None:
        _copy_labels(list(manifest_ids), repository_name, actor=actor)


@durable_write
def _copy_labels(manifest_ids: list[int], repository_name: str, *, actor: Actor) -> None:
    ensure_writable_locked()
    repository_id, project_id = share_repository_locked(repository_name)
    copies = [row[0] for row in raw.fetch_all(_SHARE_COPIES, (repository_id, manifest_ids))]
    label_ids = [row[0] for row in raw.fetch_all(_SHARE_LABELS, (manifest_ids, project_id))]
    labels = Label.objects.in_bulk(label_ids)
    for digest, label_id in raw.fetch_all(_COPY, (copies, manifest_ids, label_ids)):
        put_on = Digest.from_bytes(bytes(digest))
        _record(
            "artifact.label_added", actor, repository_name, project_id, put_on, labels[label_id]
        )


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
