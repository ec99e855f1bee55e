"""The table of requests that carry an idempotency key."""

from django.db import models


class IdempotentRequest(models.Model):
    """A POST that was carried out, under the hash of its caller and key.

    The row is written in the transaction of the write itself, so it exists exactly when the
    write does. ``status`` is None until the response is recorded; it stays None when the server
    died in between. The body of a response that ``is_withheld`` must not be kept.
    """

    key_hash = models.BinaryField(max_length=32, unique=True)
    request_hash = models.BinaryField(max_length=32)
    status = models.SmallIntegerField(null=True)
    location = models.TextField(blank=True)
    body = models.TextField(blank=True)
    is_withheld = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status=None, location="", body="", is_withheld=False)
                | models.Q(status__range=(200, 599)),
                name="api_idempotentrequest_response",
            ),
            models.CheckConstraint(
                condition=models.Q(is_withheld=False) | models.Q(body=""),
                name="api_idempotentrequest_withheld",
            ),
        )
