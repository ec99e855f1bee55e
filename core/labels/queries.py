"""Reading labels."""

from django.db.models import QuerySet

from core.labels.errors import LabelUnknown
from core.labels.models import Label
from core.projects.models import Project


def list_labels(project: Project | None) -> QuerySet[Label]:
    """Return the labels of a project, or the global ones, by name."""
    return Label.objects.filter(project=project).order_by("name", "id")


def find_label(label_id: int) -> Label | None:
    """Return the label with its project, or None."""
    return Label.objects.select_related("project").filter(pk=label_id).first()


def get_label(label_id: int) -> Label:
    """Return the label with its project. Raises ``LabelUnknown``."""
    label = find_label(label_id)
    if label is None:
        raise LabelUnknown
    return label
