"""Table of what projects hold."""

from django.db import models


class ProjectContent(models.Model):
    """A blob or a manifest that repositories of a project have; ``holders`` is how many.

    Kept by triggers on the tables of repositories, links and manifests (``usage_count``), and
    by nothing else. No foreign keys: the rows follow those tables, whose keys hold.
    """

    project_id = models.BigIntegerField()
    digest = models.BinaryField(max_length=65)
    is_manifest = models.BooleanField()
    size_bytes = models.BigIntegerField()
    holders = models.IntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project_id", "digest", "is_manifest", name="usage_projectcontent_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(holders__gt=0), name="usage_projectcontent_is_held"
            ),
        )
        indexes = (models.Index("digest", "project_id", name="usage_projectcontent_digest"),)
