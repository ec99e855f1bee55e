"""Tables of people and groups."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group as DjangoGroup
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower


class UserManager(BaseUserManager["User"]):
    """Finds users by name without regard to case, as people type it."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with that name. Raises ``User.DoesNotExist``."""
        return self.named(username or "").get()

    def named(self, username: str) -> "models.QuerySet[User]":
        """Select the user with that name through the index of the unique constraint."""
        return self.alias(lower_username=Lower("username")).filter(
            lower_username=Lower(models.Value(username))
        )


class User(AbstractBaseUser, PermissionsMixin):
    """A person. ``is_superuser`` marks a system administrator (Harbor: ``sysadmin_flag``)."""

    username = models.CharField(max_length=255, unique=True)
    email = models.CharField(max_length=255, blank=True)
    real_name = models.CharField(max_length=255, blank=True)
    comment = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    password_changed_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = (
            models.UniqueConstraint(Lower("username"), name="users_user_username_unique"),
            models.UniqueConstraint(
                Lower("email"), condition=~models.Q(email=""), name="users_user_email_unique"
            ),
        )


class Group(DjangoGroup):
    """A named set of users.

    Extends Django's group so that object-level grants work on it. ``group_type`` follows
    Harbor: 1 LDAP, 2 HTTP (also used for local groups), 3 OIDC.
    """

    group_type = models.SmallIntegerField(default=2)
    directory_name = models.CharField(max_length=512, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    # The stubs bind the inherited manager to Django's group, which has fewer columns.
    objects: ClassVar[models.Manager["Group"]] = models.Manager()  # type: ignore[assignment]


class Registration(models.Model):
    """An attempt of a visitor to create an account; only those of the last hour matter."""

    address = models.CharField(max_length=64)
    attempted_at = models.DateTimeField(db_index=True)


class Revocation(models.Model):
    """How often what was issued to a subject has been withdrawn; no row, and 0, stand for never.

    Registry tokens of ``subject`` count in the ``generation`` they were issued in and in no
    other. Refresh tokens of generations before ``credentials_generation`` have ended; a smaller
    role does not move it, because it does not end a login.
    """

    subject = models.CharField(max_length=64, primary_key=True)
    generation = models.BigIntegerField()
    credentials_generation = models.BigIntegerField(default=0)
