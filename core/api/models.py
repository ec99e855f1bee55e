"""The table of requests that carry an idempotency key."""

from django.db import models


class IdempotentRequest(models.Model):
    """A POST that was carried out, under the hash of its caller and key.

    The row is written in the transaction of the write itself, so it exists exactly when the
    write does. ``status`` is None until the response is recorded; it stays None when the server
    died in between, and when the response must not be kept because it shows a secret.
    """

    key_hash = models.BinaryField(max_length=32, unique=True)
    request_hash = models.BinaryField(max_length=32)
    status = models.SmallIntegerField(null=True)
    location = models.TextField(blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status=None, location="", body="")
                | models.Q(status__gte=200, status__lt=300),
                name="api_idempotentrequest_only_successes",
            ),
        )
