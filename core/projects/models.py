"""Table of projects."""

from django.conf import settings
from django.db import models

from core.projects.rules import new_metadata


class Project(models.Model):
    """A tenant. Its name is the first component of its repositories' names.

    ``generation`` counts how often it was made private, renamed or lost a repository. Registry
    tokens of before may rest on what was then, so they count in the generation they were issued
    in and in no other.

    ``metadata`` holds texts under the names of ``rules.METADATA``. Visibility, which Harbor
    keeps among them, has a column of its own and never stands there.
    """

    name = models.CharField(max_length=255, unique=True, db_collation="C")
    is_public = models.BooleanField(default=False)
    generation = models.BigIntegerField(default=0)
    metadata = models.JSONField(
        default=new_metadata, db_default=models.Value(new_metadata(), models.JSONField())
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    owner_name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(metadata__has_key="public"),
                name="projects_project_metadata_without_public",
            ),
        )
        indexes = (
            models.Index(
                "name", condition=models.Q(is_public=True), name="projects_project_public"
            ),
        )
