"""Table of labels."""

from django.db import models

from core.labels.rules import COLOR, MAXIMUM_DESCRIPTION, MAXIMUM_NAME
from core.projects.models import Project


class Label(models.Model):
    """A label of one project, or a global one when ``project`` is None, which never changes.

    ``color`` is ``#rrggbb`` as it was sent, or empty.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.CharField(max_length=MAXIMUM_NAME)
    description = models.CharField(max_length=MAXIMUM_DESCRIPTION, blank=True)
    color = models.CharField(max_length=7, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project", "name", nulls_distinct=False, name="labels_label_name_unique"
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="labels_label_has_name"),
            models.CheckConstraint(
                condition=models.Q(color="") | models.Q(color__regex=COLOR),
                name="labels_label_color",
            ),
        )
