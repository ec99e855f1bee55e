"""Reading allowlists."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.models import Q

from core.allowlists import rules
from core.allowlists.models import CVEAllowlist
from core.projects.models import Project
from core.projects.rules import REUSE_SYSTEM_ALLOWLIST


def find_allowlist(project: Project | None) -> CVEAllowlist | None:
    """Return the list of a project, or of the system; None when there never was one."""
    return CVEAllowlist.objects.filter(project=project).first()


def reuses_system_allowlist(project: Project) -> bool:
    """Tell whether the list of the system counts in the project, and not its own."""
    return bool(project.metadata.get(REUSE_SYSTEM_ALLOWLIST, "true") == "true")


def effective_allowlists(projects: Sequence[Project]) -> Mapping[int, CVEAllowlist]:
    """Return the list that counts in each project, by project id, with one statement.

    Projects whose list was never written are left out.
    """
    own = [project.pk for project in projects if not reuses_system_allowlist(project)]
    rows = CVEAllowlist.objects.filter(Q(project=None) | Q(project__in=own))
    by_project = {row.project_id: row for row in rows}
    chosen = {
        project.pk: by_project.get(None if reuses_system_allowlist(project) else project.pk)
        for project in projects
    }
    return {project_id: row for project_id, row in chosen.items() if row is not None}


def allowed_cve_ids(project: Project, now: datetime) -> frozenset[str]:
    """Return the vulnerabilities that are accepted in the project at that moment."""
    row = effective_allowlists([project]).get(project.pk)
    if row is None or not rules.is_in_force(row.expires_at, now):
        return frozenset()
    return frozenset(row.cve_ids)
