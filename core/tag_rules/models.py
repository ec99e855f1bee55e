"""Table of immutable tag rules."""

from django.db import models
from django.db.models.functions import MD5

from core.projects.models import Project
from core.tag_rules.rules import REPOSITORY_DECORATIONS, TAG_DECORATIONS


class TagRule(models.Model):
    """A rule that makes tags of a project immutable while it is enabled."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    is_disabled = models.BooleanField(default=False)
    repository_decoration = models.CharField(max_length=16)
    repository_pattern = models.CharField(max_length=1024)
    tag_decoration = models.CharField(max_length=16)
    tag_pattern = models.CharField(max_length=1024)

    class Meta:
        constraints = (
            # Two long patterns would not fit into a row of the index.
            models.UniqueConstraint(
                "project",
                "repository_decoration",
                MD5("repository_pattern"),
                "tag_decoration",
                MD5("tag_pattern"),
                name="tag_rules_tagrule_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    repository_decoration__in=REPOSITORY_DECORATIONS,
                    tag_decoration__in=TAG_DECORATIONS,
                ),
                name="tag_rules_tagrule_decorations",
            ),
        )
