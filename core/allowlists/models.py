"""Table of allowlists."""

from django.db import models

from core.projects.models import Project


class CVEAllowlist(models.Model):
    """The list of a project, or of the system when ``project`` is None; one of each.

    ``cve_ids`` is a sorted list of texts, each once.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="+")
    cve_ids = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project", nulls_distinct=False, name="allowlists_cveallowlist_project_unique"
            ),
        )
