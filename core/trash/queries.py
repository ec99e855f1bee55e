"""Reading the trash."""

from datetime import datetime

from django.db.models import QuerySet

from core.artifacts.models import TrashEntry
from core.projects.models import Project
from core.trash.errors import TrashEntryUnknown


def list_entries(project: Project, now: datetime) -> QuerySet[TrashEntry]:
    """Return what can be restored in a project, the last deleted first."""
    entries = TrashEntry.objects.filter(project=project, kept_until__gt=now)
    return entries.order_by("-deleted_at", "-id")


def get_entry(project: Project, entry_id: int, now: datetime) -> TrashEntry:
    """Return an entry of the project's trash. Raises ``TrashEntryUnknown``."""
    entry = list_entries(project, now).filter(pk=entry_id).first()
    if entry is None:
        raise TrashEntryUnknown
    return entry
