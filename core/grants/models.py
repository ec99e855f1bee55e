"""Object-level grants on repositories, stored by django-guardian with direct foreign keys."""

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from core.artifacts.models import Repository


class RepositoryUserGrant(UserObjectPermissionBase):
    """A user's permission on one repository."""

    content_object = models.ForeignKey(Repository, on_delete=models.CASCADE)


class RepositoryGroupGrant(GroupObjectPermissionBase):
    """A group's permission on one repository."""

    content_object = models.ForeignKey(Repository, on_delete=models.CASCADE)
