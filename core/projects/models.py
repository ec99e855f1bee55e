"""Table of projects."""

from django.conf import settings
from django.db import models


class Project(models.Model):
    """A tenant. Its name is the first component of its repositories' names.

    ``generation`` counts how often it was made private. Registry tokens of before may rest on
    its having been public, so they count in the generation they were issued in and in no other.
    """

    name = models.CharField(max_length=255, unique=True, db_collation="C")
    is_public = models.BooleanField(default=False)
    generation = models.BigIntegerField(default=0)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    owner_name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
