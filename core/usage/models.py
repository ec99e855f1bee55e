"""Tables of what projects hold, and of what was counted of it."""

from django.db import models

from core.projects.models import Project


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


class StorageCount(models.Model):
    """What was counted last of a project, or of the registry when ``project`` is None.

    One row of each, which goes with its project, whoever deletes that (its migration has the
    foreign key). The columns are those of ``StorageFigures``, and ``top_repositories`` are
    ``CountedRepository``. ``core.usage.rules`` says how long a count is told.
    """

    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    logical_bytes = models.BigIntegerField()
    deduplicated_bytes = models.BigIntegerField()
    shared_bytes = models.BigIntegerField()
    pending_garbage_bytes = models.BigIntegerField()
    repositories = models.BigIntegerField()
    blobs = models.BigIntegerField()
    manifests = models.BigIntegerField()
    logical_contents = models.BigIntegerField()
    counted_at = models.DateTimeField()
    top_repositories = models.JSONField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project", nulls_distinct=False, name="usage_storagecount_project_unique"
            ),
        )
