"""Tables of repositories, manifests, tags and pulls."""

from django.db import models

from core.blobs.models import Blob
from core.labels.models import Label
from core.labels.rules import MAXIMUM_NAME
from core.projects.models import Project


class Repository(models.Model):
    """A named collection of artifacts; ``name`` is the full ``project/path``."""

    # Found by the index of both: with one of its own, pages would be read by it and sorted.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="repositories", db_index=False
    )
    name = models.CharField(max_length=255, unique=True, db_collation="C")
    description = models.TextField(blank=True)
    pull_count = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        permissions = (
            ("pull", "May pull from this repository"),
            ("push", "May push to this repository"),
            ("delete", "May delete from this repository"),
        )
        indexes = (models.Index("project", "name", name="artifacts_repository_project"),)


class RepositoryBlob(models.Model):
    """A blob that a repository may serve.

    Until ``leased_until`` the link stays even when no manifest of the repository names the
    blob; a push takes the lease, so its manifest still finds the blob.
    """

    # Both indexes hold both keys: a blob that very many repositories share is found in one of
    # them at once, whichever the planner takes.
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+", db_index=False)
    leased_until = models.DateTimeField(db_index=True)
    pushed_by = models.CharField(max_length=64)

    class Meta:
        constraints = (
            models.UniqueConstraint("repository", "blob", name="artifacts_repositoryblob_unique"),
        )
        indexes = (models.Index("blob", "repository", name="artifacts_repositoryblob_blob"),)


# All that lists of artifacts show, and few others.
_PERHAPS_LISTED = models.Q(models.Q(is_child=False) | models.Q(may_be_tagged=True), subject=None)


class Manifest(models.Model):
    """An immutable document, kept byte for byte as it was pushed.

    ``total_bytes`` is the payload plus the distinct blobs it names (for an index: plus its
    children). ``touched_at`` is when a pusher last relied on it while untagged. ``extra_attrs``
    is what its configuration says (``core.artifacts.attributes``), None until it was read;
    ``tag_life`` is how long tags live that a push lets point at it, if a label of it says so.

    ``is_child`` tells whether an index lists the manifest. ``may_be_tagged`` is False only where
    no tag names it: it spares lists a look at the tags of children. Both are kept by triggers on
    the tables of references and tags (migration 0011), and by nothing else.
    """

    # Indexes of more columns begin with it.
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="manifests", db_index=False
    )
    digest = models.BinaryField(max_length=65)
    media_type = models.CharField(max_length=255)
    artifact_type = models.CharField(max_length=255, null=True)
    config_media_type = models.CharField(max_length=255, null=True)
    size_bytes = models.IntegerField()
    payload = models.BinaryField()
    subject = models.BinaryField(max_length=65, null=True)
    annotations = models.JSONField(default=dict)
    total_bytes = models.BigIntegerField()
    pushed_at = models.DateTimeField()
    pushed_by = models.CharField(max_length=512)
    last_pulled_at = models.DateTimeField(null=True)
    touched_at = models.DateTimeField()
    extra_attrs = models.JSONField(null=True)
    is_child = models.BooleanField(default=False, db_default=False)
    may_be_tagged = models.BooleanField(default=False, db_default=False)
    tag_life = models.DurationField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "repository", "digest", name="artifacts_manifest_digest_unique"
            ),
        )
        indexes = (
            # Adding up sizes does not read rows, which have the payload.
            models.Index(
                "repository", "id", include=("size_bytes",), name="artifacts_manifest_sizes"
            ),
            models.Index(
                "repository",
                "subject",
                "id",
                condition=models.Q(subject__isnull=False),
                name="artifacts_manifest_subject",
            ),
            # What lists are filtered and ordered by comes along: they read no rows but a page's.
            models.Index(
                "repository",
                models.F("pushed_at").desc(),
                models.F("id").desc(),
                include=("is_child", "total_bytes", "artifact_type", "config_media_type"),
                condition=_PERHAPS_LISTED,
                name="artifacts_manifest_in_lists",
            ),
            models.Index(
                "repository",
                models.F("total_bytes").desc(),
                models.F("id").desc(),
                include=("is_child",),
                condition=_PERHAPS_LISTED,
                name="artifacts_manifest_by_size",
            ),
            # The smallest that tells how many there are, and what has no tag.
            models.Index(
                "repository",
                "is_child",
                "id",
                condition=_PERHAPS_LISTED,
                name="artifacts_manifest_counted",
            ),
            models.Index(
                models.F("pushed_at").desc(),
                models.F("id").desc(),
                include=("repository", "is_child"),
                condition=_PERHAPS_LISTED,
                name="artifacts_manifest_newest",
            ),
            models.Index(
                "id",
                condition=models.Q(extra_attrs__isnull=True, config_media_type__isnull=False),
                name="artifacts_manifest_unread",
            ),
        )


class ManifestReference(models.Model):
    """One descriptor of a manifest, in its order.

    ``role`` is config, layer, child or foreign. ``blob`` is set for config and layer,
    ``child`` for the children of an index, neither for foreign layers nor while the reference
    waits for content that the repository lacks.
    """

    parent = models.ForeignKey(Manifest, on_delete=models.CASCADE, related_name="references")
    position = models.IntegerField()
    role = models.CharField(max_length=8)
    digest = models.BinaryField(max_length=65)
    size_bytes = models.BigIntegerField()
    media_type = models.CharField(max_length=255)
    platform = models.JSONField(null=True)
    annotations = models.JSONField(null=True)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="+")
    child = models.ForeignKey(Manifest, on_delete=models.PROTECT, null=True, related_name="parents")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "parent", "position", name="artifacts_manifestreference_position_unique"
            ),
        )
        indexes = (
            models.Index(
                "digest",
                condition=models.Q(blob=None, child=None),
                name="artifacts_manifestref_waiting",
            ),
        )


class Tag(models.Model):
    """A name pointing at a manifest from ``started_at`` until ``ended_at``.

    The row without an end is the live tag, at most one for each repository and name. Ended
    rows are the tag's history: they keep the digest and let go of the manifest, which may be
    deleted. A live tag with ``expires_at`` is ended by a periodic run after that instant. One
    that ``awaits_life`` was pushed before the configuration was read, which may set the instant.
    """

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="tags", db_index=False
    )
    name = models.CharField(max_length=128, db_collation="C")
    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, null=True, related_name="tags")
    digest = models.BinaryField(max_length=65)
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=512)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=512, blank=True)
    last_pulled_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    awaits_life = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "repository",
                "name",
                condition=models.Q(ended_at=None),
                name="artifacts_tag_live_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=False) | models.Q(manifest__isnull=False),
                name="artifacts_tag_live_has_manifest",
            ),
        )
        indexes = (
            models.Index("repository", "name", "id", name="artifacts_tag_history"),
            models.Index(
                "repository",
                "manifest",
                include=("name",),
                condition=models.Q(ended_at=None),
                name="artifacts_tag_live_named",
            ),
            models.Index(
                "expires_at",
                condition=models.Q(expires_at__isnull=False, ended_at=None),
                name="artifacts_tag_expiry",
            ),
        )


class Redirect(models.Model):
    """A former name of a repository that pulls by it still find.

    ``project_id`` is the project that the name belonged to. It is no foreign key: when another
    project takes the name's first component, the two ids differ and the redirect is over.

    While the repository is in the trash, the redirect leads nowhere and waits for its restoration:
    ``trash_entry_id`` is its entry. That is no foreign key either, so that nobody who lets go of
    entries needs rows of this table; what then waits for nothing is removed from time to time.
    """

    name = models.CharField(max_length=255, unique=True, db_collation="C")
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, null=True, related_name="redirects"
    )
    trash_entry_id = models.BigIntegerField(null=True)
    project_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(repository=None, trash_entry_id__isnull=False)
                | models.Q(repository__isnull=False, trash_entry_id=None),
                name="artifacts_redirect_leads_or_waits",
            ),
        )
        indexes = (
            models.Index(
                "trash_entry_id",
                condition=models.Q(trash_entry_id__isnull=False),
                name="artifacts_redirect_waiting",
            ),
        )


class TrashEntry(models.Model):
    """A tag, a manifest or a repository that was deleted, restorable until ``kept_until``.

    ``path`` is the repository's name without its project, which may be renamed meanwhile.
    ``digest`` is what a tag named, or the manifest; a repository has none. The last three
    columns describe a repository as it was.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10)
    path = models.CharField(max_length=255, db_collation="C")
    tag = models.CharField(max_length=128, blank=True, db_collation="C")
    digest = models.BinaryField(max_length=65, null=True)
    manifest_count = models.IntegerField()
    total_bytes = models.BigIntegerField()
    deleted_at = models.DateTimeField()
    deleted_by = models.CharField(max_length=512)
    kept_until = models.DateTimeField(db_index=True)
    description = models.TextField(blank=True)
    pull_count = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind="tag", digest__isnull=False) & ~models.Q(tag="")
                | models.Q(kind="manifest", digest__isnull=False, tag="")
                | models.Q(kind="repository", digest=None, tag="", created_at__isnull=False),
                name="artifacts_trashentry_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(kept_until__gt=models.F("deleted_at")),
                name="artifacts_trashentry_kept_for_a_time",
            ),
        )
        indexes = (models.Index("project", "path", "id", name="artifacts_trashentry_place"),)


class TrashedManifest(models.Model):
    """A manifest in the trash, byte for byte; nothing that serves clients looks here."""

    entry = models.ForeignKey(
        TrashEntry, on_delete=models.CASCADE, related_name="manifests", db_index=False
    )
    digest = models.BinaryField(max_length=65)
    media_type = models.CharField(max_length=255)
    payload = models.BinaryField()
    pushed_at = models.DateTimeField()
    pushed_by = models.CharField(max_length=512)
    last_pulled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "entry", "digest", name="artifacts_trashedmanifest_digest_unique"
            ),
        )
        indexes = (models.Index("digest", name="artifacts_trashedmanifest_dig"),)


class TrashedBlob(models.Model):
    """Keeps a blob that a manifest in the trash names from being removed."""

    entry = models.ForeignKey(
        TrashEntry, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint("entry", "blob", name="artifacts_trashedblob_unique"),
        )


class TrashedTag(models.Model):
    """A period of a tag that went into the trash, by itself or with its manifest or repository.

    But for a repository only that of the live tag: the history stays with the repository.
    """

    entry = models.ForeignKey(TrashEntry, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=128, db_collation="C")
    digest = models.BinaryField(max_length=65)
    started_at = models.DateTimeField()
    started_by = models.CharField(max_length=512)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=512, blank=True)
    last_pulled_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    awaits_life = models.BooleanField(default=False, db_default=False)


class TrashedLabel(models.Model):
    """A label of a manifest in the trash, with the name that it had then.

    ``label_id`` is no foreign key: what was deleted meanwhile is named when it cannot come back.
    The rows go with the entry, whoever deletes that: a migration has the foreign key.
    """

    entry = models.ForeignKey(
        TrashEntry, on_delete=models.CASCADE, related_name="labels", db_constraint=False
    )
    digest = models.BinaryField(max_length=65)
    label_id = models.BigIntegerField()
    name = models.CharField(max_length=MAXIMUM_NAME)


class ManifestLabel(models.Model):
    """A label on a manifest, each at most once.

    The migration of this table has what Django cannot say: the foreign keys take the row along
    whoever deletes the other one, a label of a project is refused on a manifest of another
    project, and a repository that moves into another project loses the labels of the former.
    """

    manifest = models.ForeignKey(
        Manifest, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    label = models.ForeignKey(
        Label, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        constraints = (
            models.UniqueConstraint("manifest", "label", name="artifacts_manifestlabel_unique"),
        )
        indexes = (models.Index("label", "manifest", name="artifacts_manifestlabel_label"),)


class PullRecord(models.Model):
    """Pulls that are alike, waiting to be folded into counters, and the time of the latest.

    No foreign keys: inserts stay cheap.
    """

    repository_id = models.BigIntegerField()
    manifest_id = models.BigIntegerField()
    tag_name = models.CharField(max_length=128, blank=True)
    pulled_at = models.DateTimeField()
    user_agent = models.CharField(max_length=128, blank=True, db_default="")
    pulls = models.IntegerField(db_default=1)


class PullUsage(models.Model):
    """How often a family of clients pulled by a tag on a day (in UTC).

    ``tag_name`` is empty for pulls by digest. ``client`` is one of
    ``core.common.user_agents.FAMILIES``.

    What is counted stays with the project when the repository is deleted. It has no ``repository``
    then; with ``trash_entry_id`` it waits for the restoration of the repository, and for nothing of
    the same name. That is no foreign key, so that nobody who lets go of entries needs rows of this
    table. Nor has the database one to the project: a fold would lock that behind repositories.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    trash_entry_id = models.BigIntegerField(null=True)
    day = models.DateField(db_index=True)
    tag_name = models.CharField(max_length=128, blank=True, db_collation="C")
    client = models.CharField(max_length=16)
    pulls = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "repository", "day", "tag_name", "client", name="artifacts_pullusage_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(pulls__gt=0), name="artifacts_pullusage_pulls_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(repository=None) | models.Q(trash_entry_id=None),
                name="artifacts_pullusage_counts_or_waits",
            ),
        )
        indexes = (
            models.Index("project", "day", name="artifacts_pullusage_project"),
            models.Index(
                "trash_entry_id",
                condition=models.Q(trash_entry_id__isnull=False),
                name="artifacts_pullusage_waiting",
            ),
        )
