"""Let the usage of a repository stay with its project, and wait for its restoration.

Before the code that comes with it. Code that does not know the new columns cannot add pulls to the
usage: their records wait for the code that does. A repository that it transfers leaves its usage
behind. The table is locked while what is there gets its project: pulls are not counted meanwhile,
deletions of repositories wait, and so may pushes to tags that were just pulled.
"""

import django.db.models.deletion
from django.db import migrations, models

_FILL = """
UPDATE artifacts_pullusage AS usage SET project_id = repository.project_id
  FROM artifacts_repository AS repository WHERE repository.id = usage.repository_id
"""

# Before the repository must be there again.
_FORGET = "DELETE FROM artifacts_pullusage WHERE repository_id IS NULL"


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0019_ends_of_tags_in_the_trash"),
        ("projects", "0001_projects"),
    ]

    operations = [
        migrations.AddField(
            model_name="pullusage",
            name="project",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="projects.project",
            ),
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="pullusage",
            name="project",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="projects.project",
            ),
        ),
        migrations.AlterField(
            model_name="pullusage",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="artifacts.repository",
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, _FORGET),
        migrations.AddField(
            model_name="pullusage",
            name="trash_entry_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="pullusage",
            constraint=models.CheckConstraint(
                condition=models.Q(("repository", None), ("trash_entry_id", None), _connector="OR"),
                name="artifacts_pullusage_counts_or_waits",
            ),
        ),
        migrations.AddIndex(
            model_name="pullusage",
            index=models.Index(
                models.F("project"), models.F("day"), name="artifacts_pullusage_project"
            ),
        ),
        migrations.AddIndex(
            model_name="pullusage",
            index=models.Index(
                models.F("trash_entry_id"),
                condition=models.Q(("trash_entry_id__isnull", False)),
                name="artifacts_pullusage_waiting",
            ),
        ),
    ]
