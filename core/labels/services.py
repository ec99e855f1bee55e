"""Creating, changing and deleting labels, none of which happens in read-only mode."""

from django.db import IntegrityError, transaction

from core.audit import services as audit
from core.common.clock import now as current_time
from core.database import raw
from core.database.transactions import durable_write
from core.labels import rules
from core.labels.errors import LabelNameTaken, LabelUnknown
from core.labels.models import Label
from core.projects.models import Project
from core.projects.services import lock_project
from core.rbac.types import Actor
from core.system_settings.queries import ensure_writable_locked

# Django knows no lock that lets those who use the same label do so side by side.
_SHARE = """
SELECT id FROM labels_label
 WHERE id = %s AND (project_id IS NULL OR project_id = %s) FOR KEY SHARE
"""


@durable_write
def create_label(
    name: str,
    *,
    project: Project | None,
    description: str = "",
    color: str = "",
    actor: Actor,
) -> Label:
    """Create a label of a project, or a global one when ``project`` is None.

    Raises ``LabelInvalid``, ``LabelNameTaken`` and ``ProjectUnknown``.
    """
    ensure_writable_locked()
    rules.ensure_valid(name, description, color)
    if project is not None:
        project = lock_project(project)
    created_at = current_time()
    label = Label(
        project=project,
        name=name,
        description=description,
        color=color,
        created_at=created_at,
        updated_at=created_at,
    )
    _save(label)
    _record("labels.label.created", actor, label)
    return label


@durable_write
def update_label(label: Label, *, name: str, description: str, color: str, actor: Actor) -> Label:
    """Replace name, description and colour; artifacts that carry the label keep it.

    Raises ``LabelInvalid``, ``LabelNameTaken`` and ``LabelUnknown``.
    """
    ensure_writable_locked()
    rules.ensure_valid(name, description, color)
    label = _lock(label)
    if (label.name, label.description, label.color) == (name, description, color):
        return label
    label.name, label.description, label.color = name, description, color
    label.updated_at = current_time()
    _save(label)
    _record("labels.label.updated", actor, label)
    return label


@durable_write
def delete_label(label: Label, *, actor: Actor) -> None:
    """Delete a label, which takes it off every artifact. Raises ``LabelUnknown``."""
    ensure_writable_locked()
    label = _lock(label)
    _record("labels.label.deleted", actor, label)
    # Through the ORM, which knows the table of the higher feature that refers to it.
    label.delete()


def share_label_locked(label_id: int, *, project_id: int) -> Label:
    """Return a label that artifacts of the project may carry, kept from deletion until the commit.

    Raises ``LabelUnknown``, also for labels of other projects.
    """
    held = raw.fetch_one(_SHARE, (label_id, project_id))
    if held is None:
        raise LabelUnknown
    return Label.objects.get(pk=label_id)


def _lock(label: Label) -> Label:
    locked = (
        Label.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=label.pk)
        .first()
    )
    if locked is None:
        raise LabelUnknown
    return locked


def _save(label: Label) -> None:
    try:
        with transaction.atomic():
            label.save()
    except IntegrityError as error:
        raise LabelNameTaken(f"A label named {label.name} exists already.") from error


def _record(action: str, actor: Actor, label: Label) -> None:
    project = label.project
    audit.record(
        action,
        actor,
        target_kind="label",
        target_id=label.pk,
        target_label=label.name,
        project_id=None if project is None else project.pk,
        project_name="" if project is None else project.name,
        detail={"description": label.description, "color": label.color},
    )
