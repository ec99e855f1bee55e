"""Rows of the five built-in roles; custom roles start at 101. Data only, safe to repeat."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

BUILT_IN = {
    1: "projectAdmin",
    2: "developer",
    3: "guest",
    4: "maintainer",
    5: "limitedGuest",
}


def insert_built_in_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Insert what is missing and let custom roles start above Harbor's reserved ids."""
    role = apps.get_model("members", "Role")
    for role_id, name in BUILT_IN.items():
        role.objects.get_or_create(id=role_id, defaults={"name": name, "permissions": None})
    schema_editor.execute("ALTER TABLE members_role ALTER COLUMN id RESTART WITH 101")


class Migration(migrations.Migration):
    dependencies = [("members", "0001_roles_and_memberships")]

    operations = [migrations.RunPython(insert_built_in_roles, migrations.RunPython.noop)]
