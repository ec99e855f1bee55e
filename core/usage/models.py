"""Tables of what projects and repositories hold."""

from django.db import models


class ProjectContent(models.Model):
    """A blob or a manifest that repositories of a project have; ``holders`` is how many.

    Kept by triggers on the tables of repositories, links and manifests (``usage_count``), and
    by nothing else. No foreign keys: the rows follow those tables, whose keys hold.

    ``is_shared`` is None until a run has compared the content with those of other projects. Of two
    projects with the same content, both rows have True, or at least one has None.
    """

    project_id = models.BigIntegerField()
    digest = models.BinaryField(max_length=65)
    is_manifest = models.BooleanField()
    size_bytes = models.BigIntegerField()
    holders = models.IntegerField()
    is_shared = models.BooleanField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "project_id", "digest", "is_manifest", name="usage_projectcontent_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(holders__gt=0), name="usage_projectcontent_is_held"
            ),
        )
        indexes = (
            models.Index("digest", "project_id", name="usage_projectcontent_digest"),
            models.Index(
                "project_id",
                "digest",
                "is_manifest",
                condition=models.Q(is_shared=True) | models.Q(is_shared=None),
                name="usage_projectcontent_shared",
            ),
            models.Index(
                "is_manifest",
                "digest",
                condition=models.Q(is_shared=None),
                name="usage_projectcontent_new",
            ),
        )


class Holding(models.Model):
    """How much a repository holds, or a project, which has each content once.

    The rows of one are added up: triggers write one with each statement that changes what is held,
    and a run makes the settled one of many. No foreign keys, as above.
    """

    repository_id = models.BigIntegerField(null=True)
    project_id = models.BigIntegerField(null=True)
    blobs = models.BigIntegerField()
    manifests = models.BigIntegerField()
    bytes = models.BigIntegerField()
    is_settled = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(repository_id=None, project_id__isnull=False)
                | models.Q(repository_id__isnull=False, project_id=None),
                name="usage_holding_of_one",
            ),
            models.UniqueConstraint(
                fields=("repository_id", "project_id"),
                condition=models.Q(is_settled=True),
                nulls_distinct=False,
                name="usage_holding_settled_unique",
            ),
        )
        indexes = (
            models.Index("id", condition=models.Q(is_settled=False), name="usage_holding_open"),
        )
