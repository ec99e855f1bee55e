"""Tables of blobs, uploads and condemned objects."""

import uuid

from django.db import models
from django.db.models.functions import Coalesce

FIRST_STORE = "main"
"""What a storage is called unless the settings say otherwise."""


class Blob(models.Model):
    """Immutable bytes. A row exists only when ``storage_key`` holds ``size_bytes`` durable bytes.

    ``digest`` is ``core.oci.digest.Digest.to_bytes``: one byte for the algorithm, then the
    raw hash. ``store`` is the name of the storage that holds the object. ``verified_at`` is
    when its bytes were last compared with the digest, None when only while they arrived;
    ``damaged_at`` since when they are known to be wrong or missing.
    """

    digest = models.BinaryField(max_length=65, unique=True)
    size_bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255, unique=True, db_collation="C")
    store = models.CharField(max_length=32, db_default=FIRST_STORE)
    created_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    damaged_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(size_bytes__gte=0),
                name="blobs_blob_size_not_negative",
            ),
        )
        indexes = (
            models.Index(Coalesce("verified_at", "created_at"), name="blobs_blob_verification"),
            models.Index(
                "id", condition=models.Q(damaged_at__isnull=False), name="blobs_blob_damaged"
            ),
        )


class Upload(models.Model):
    """A resumable upload of one blob into one repository.

    The bytes go to ``storage_key`` in ``store``, both fixed at creation, so a crash at any step
    leaves a row that names what to clean. ``size_bytes`` counts durable bytes. ``hash_state``
    continues the running hash in another process; ``digest_at_size`` is the running hash's
    value at ``size_bytes``. One writer at a time holds ``lock_token`` until ``locked_until``;
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
    store = models.CharField(max_length=32, db_default=FIRST_STORE)
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


class CondemnedObject(models.Model):
    """A stored object that is removed after ``kept_until``, unless a blob adopts it before.

    What a blob stood on before it was moved or healed is condemned, and waits for those who
    still read it. A copy in the making is condemned beforehand, so that a crash leaves a row
    that names what to clean, and pardoned in the transaction that makes a blob of it. Once
    ``removing_at`` is set, there is no pardon any more.
    """

    storage_key = models.CharField(max_length=255, unique=True, db_collation="C")
    store = models.CharField(max_length=32)
    condemned_at = models.DateTimeField()
    kept_until = models.DateTimeField(db_index=True)
    removing_at = models.DateTimeField(null=True)
