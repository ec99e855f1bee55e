"""Table of robots."""

from django.db import models

from core.projects.models import Project


class Robot(models.Model):
    """A non-human subject of one project, or of the system when ``project`` is None.

    ``permissions`` maps a project name (``"*"`` every project, ``"/"`` the system) to a list
    of permission names, and ``project_ids`` the projects that a robot of the system names to
    their ids: a later project of the same name is not meant. During a rotation
    ``previous_secret_hash`` works until ``previous_valid_until``. Either is the SHA-256 of a
    secret that was made here or the slow hash of a chosen one (``rules.chosen_hash``); only of the
    former are the last characters kept, in ``secret_hint``. ``duration_days`` is what its
    creator asked for; None never ends. ``creator`` is the subject key of whoever created it
    (``user:5``, ``robot:7``), and stays when that one is deleted; empty when nobody knows.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="robots")
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=1024, blank=True)
    permissions = models.JSONField(default=dict)
    project_ids = models.JSONField(default=dict)
    secret_hash = models.BinaryField(max_length=128, unique=True)
    secret_hint = models.CharField(max_length=4)
    previous_secret_hash = models.BinaryField(max_length=128, null=True)
    previous_valid_until = models.DateTimeField(null=True)
    is_disabled = models.BooleanField(default=False)
    duration_days = models.IntegerField(null=True)
    expires_at = models.DateTimeField(null=True, db_index=True)
    created_by = models.CharField(max_length=512)
    creator = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project", "name", nulls_distinct=False, name="robots_robot_name_unique"
            ),
        )
