"""Table of projects."""

from django.conf import settings
from django.db import models


class Project(models.Model):
    """A tenant. Its name is the first component of its repositories' names.

    ``made_private_at`` is when it last ceased to be public; registry tokens issued until then
    may rest on that alone, and are not accepted while the project is private.
    """

    name = models.CharField(max_length=255, unique=True, db_collation="C")
    is_public = models.BooleanField(default=False)
    made_private_at = models.DateTimeField(null=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    owner_name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
