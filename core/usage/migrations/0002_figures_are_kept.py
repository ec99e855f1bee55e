"""Keep the figures of the storage explorer for a while.

Before the code that comes with it. Projects that code deletes which does not know the table take
their row along. Pulls and pushes go on; projects cannot be changed while the empty table is made.
"""

import django.db.models.deletion
from django.db import migrations, models

# Whoever deletes a project need not know of the table.
_FOREIGN_KEY = """
ALTER TABLE usage_storagecount
  ADD CONSTRAINT usage_storagecount_of_project FOREIGN KEY (project_id)
      REFERENCES projects_project (id) ON DELETE CASCADE
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0004_public_projects"),
        ("usage", "0001_content_counted_by_triggers"),
    ]

    operations = [
        migrations.CreateModel(
            name="StorageCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("logical_bytes", models.BigIntegerField()),
                ("deduplicated_bytes", models.BigIntegerField()),
                ("shared_bytes", models.BigIntegerField()),
                ("pending_garbage_bytes", models.BigIntegerField()),
                ("repositories", models.BigIntegerField()),
                ("blobs", models.BigIntegerField()),
                ("manifests", models.BigIntegerField()),
                ("logical_contents", models.BigIntegerField()),
                ("counted_at", models.DateTimeField()),
                ("top_repositories", models.JSONField()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("project"),
                        name="usage_storagecount_project_unique",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(_FOREIGN_KEY, migrations.RunSQL.noop),
    ]
