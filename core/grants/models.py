"""Object-level grants on repositories, stored by django-guardian with direct foreign keys."""

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from core.artifacts.models import Repository, TrashEntry


class RepositoryUserGrant(UserObjectPermissionBase):
    """A user's permission on one repository."""

    content_object = models.ForeignKey(Repository, on_delete=models.CASCADE)


class RepositoryGroupGrant(GroupObjectPermissionBase):
    """A group's permission on one repository."""

    content_object = models.ForeignKey(Repository, on_delete=models.CASCADE)


class TrashedGrant(models.Model):
    """A right on a repository in the trash, with the name that its holder had then.

    The migration of this table has what Django cannot say: a trigger writes the rows with the
    entry of a deleted repository, and they go with the entry whoever deletes that. The ids are
    no foreign keys: who was deleted meanwhile is named when the right cannot come back.
    """

    entry = models.ForeignKey(
        TrashEntry, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    subject_kind = models.CharField(max_length=5)
    subject_id = models.BigIntegerField()
    subject_name = models.CharField(max_length=255)
    right = models.CharField(max_length=100)
