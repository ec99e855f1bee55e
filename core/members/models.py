"""Tables of roles and memberships."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from core.projects.models import Project
from core.users.models import Group


class Role(models.Model):
    """A named permission set.

    Built-in roles (ids 1 to 5, Harbor's numbering) take their permissions from
    ``core.rbac.roles``; ``permissions`` is then None. Custom roles list theirs.
    """

    name = models.CharField(max_length=64)
    description = models.CharField(max_length=1024, blank=True)
    permissions = models.JSONField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(Lower("name"), name="members_role_name_unique"),
            models.CheckConstraint(
                condition=models.Q(id__lte=5, permissions=None)
                | models.Q(id__gt=5, permissions__isnull=False),
                name="members_role_built_in_or_listed",
            ),
        )


class Membership(models.Model):
    """One user or one group holding one role in one project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="memberships",
    )
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, null=True, related_name="memberships"
    )
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="memberships")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(user=None, group__isnull=False)
                | models.Q(user__isnull=False, group=None),
                name="members_membership_one_subject",
            ),
            models.UniqueConstraint("project", "user", name="members_membership_user_unique"),
            models.UniqueConstraint("project", "group", name="members_membership_group_unique"),
        )

    @property
    def subject_name(self) -> str:
        """Name of the user or group."""
        if self.user is not None:
            return self.user.username
        if self.group is not None:
            return self.group.name
        raise ValueError("a membership belongs to one user or to one group")
