"""Registers the feature with Django and keeps the rows of the built-in roles."""

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.db.models.signals import post_migrate

from core.rbac.roles import BUILT_IN_ROLE_IDS


class MembersConfig(AppConfig):
    """Application ``members``."""

    name = "core.members"
    label = "members"

    def ready(self) -> None:
        """Insert the built-in roles after migrations and after a database is emptied."""
        post_migrate.connect(insert_built_in_roles, sender=self)


def insert_built_in_roles(*, using: str, apps: Apps = installed_apps, **_: object) -> None:
    """Insert the rows of built-in roles that are missing; safe to repeat."""
    try:
        role = apps.get_model("members", "Role")
    except LookupError:  # The feature's tables have just been taken back.
        return
    role._default_manager.using(using).bulk_create(
        [role(id=role_id, name=name) for name, role_id in BUILT_IN_ROLE_IDS.items()],
        ignore_conflicts=True,
    )
