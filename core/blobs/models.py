"""Tables of blobs and uploads."""

import uuid

from django.db import models


class Blob(models.Model):
    """Immutable bytes. A row exists only when ``storage_key`` holds ``size_bytes`` durable bytes.

    ``digest`` is ``core.oci.digest.Digest.to_bytes``: one byte for the algorithm, then the
    raw hash.
    """

    digest = models.BinaryField(max_length=65, unique=True)
    size_bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255, unique=True, db_collation="C")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(size_bytes__gte=0),
                name="blobs_blob_size_not_negative",
            ),
        )


class Upload(models.Model):
    """A resumable upload of one blob into one repository.

    The bytes go to ``storage_key``, fixed at creation, so a crash at any step leaves a row
    that names what to clean. ``size_bytes`` counts durable bytes. ``hash_state`` continues the
    running hash in another process; ``digest_at_size`` is the running hash's value at
    ``size_bytes``. One writer at a time holds ``lock_token`` until ``locked_until``;
    ``epoch`` grows whenever another takes over. A committed upload stays for an hour with
    ``committed_digest`` set, so that a repeated closing request finds its answer.

    ``project_id`` is no foreign key: the row names bytes that must be removed, and so
    outlives the project. The sweeper ends uploads whose project is gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    project_id = models.BigIntegerField()
    repository_name = models.CharField(max_length=255, db_collation="C")
    owner = models.CharField(max_length=64)
    algorithm = models.CharField(max_length=16)
    storage_key = models.CharField(max_length=255, unique=True, db_collation="C")
    storage_state = models.JSONField(default=dict)
    size_bytes = models.BigIntegerField(default=0)
    hash_state = models.BinaryField(null=True)
    digest_at_size = models.CharField(max_length=128, null=True)
    epoch = models.IntegerField(default=0)
    lock_token = models.UUIDField(null=True)
    locked_until = models.DateTimeField(null=True)
    committed_digest = models.BinaryField(max_length=65, null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
