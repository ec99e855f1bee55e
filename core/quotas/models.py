"""Tables of limits and of the changes that are not added up yet."""

from django.db import models

from core.projects.models import Project
from core.quotas.rules import UNLIMITED


class Quota(models.Model):
    """How many bytes a project may hold (-1: any number), and how many it does.

    A trigger of the database makes the row with its project, so each has exactly one. What the
    project holds is ``used_bytes`` and the project's changes together. ``warned_at`` is when it
    was announced that the project is nearly full, None while it is not.
    """

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="quota")
    hard_bytes = models.BigIntegerField(default=UNLIMITED)
    used_bytes = models.BigIntegerField(default=0)
    warned_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(hard_bytes=UNLIMITED) | models.Q(hard_bytes__gt=0),
                name="quotas_quota_limit_valid",
            ),
            models.CheckConstraint(
                condition=models.Q(used_bytes__gte=0), name="quotas_quota_usage_not_negative"
            ),
        )


class UsageChange(models.Model):
    """What one statement of a transaction added to a project's usage, or took from it.

    ``project_id`` is no foreign key: inserts stay cheap, and what is left of a deleted project
    is thrown away when changes are added up.
    """

    project_id = models.BigIntegerField(db_index=True)
    transaction_id = models.BigIntegerField(db_index=True)
    bytes = models.BigIntegerField()
