"""Before deploy. Processes of before write no metadata, so the database fills them in."""

from django.db import migrations, models
from django.db.models import Value

from core.projects.rules import new_metadata


class Migration(migrations.Migration):
    dependencies = [("projects", "0002_generation_of_projects")]

    operations = [
        migrations.AddField(
            "Project",
            "metadata",
            models.JSONField(
                default=new_metadata,
                db_default=Value({"reuse_sys_cve_allowlist": "true"}, models.JSONField()),
            ),
        ),
        migrations.AddConstraint(
            "Project",
            models.CheckConstraint(
                condition=~models.Q(metadata__has_key="public"),
                name="projects_project_metadata_without_public",
            ),
        ),
    ]
