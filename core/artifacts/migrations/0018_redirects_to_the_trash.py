"""Let former names wait for a repository that is in the trash.

Before the code that comes with it; code that does not know the new column may go on writing. Pulls
and tokens wait for a moment.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0017_counts_of_artifacts"),
    ]

    operations = [
        migrations.AddField(
            model_name="redirect",
            name="trash_entry_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="redirect",
            name="repository",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="redirects",
                to="artifacts.repository",
            ),
        ),
        migrations.AddConstraint(
            model_name="redirect",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("repository", None), ("trash_entry_id__isnull", False)),
                    models.Q(("repository__isnull", False), ("trash_entry_id", None)),
                    _connector="OR",
                ),
                name="artifacts_redirect_leads_or_waits",
            ),
        ),
        migrations.AddIndex(
            model_name="redirect",
            index=models.Index(
                models.F("trash_entry_id"),
                condition=models.Q(("trash_entry_id__isnull", False)),
                name="artifacts_redirect_waiting",
            ),
        ),
    ]
