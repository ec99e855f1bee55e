"""Labels with explicit values."""

from core.artifacts.models import ManifestLabel
from core.common.clock import now
from core.labels.models import Label
from core.projects.models import Project


def make_label(name: str = "stable", *, project: Project | None = None, color: str = "") -> Label:
    """Store a label of the project, or a global one."""
    at = now()
    return Label.objects.create(
        name=name, project=project, color=color, created_at=at, updated_at=at
    )


def put_label(label: Label, manifest_id: int) -> ManifestLabel:
    """Let a manifest carry a label."""
    return ManifestLabel.objects.create(label=label, manifest_id=manifest_id)
