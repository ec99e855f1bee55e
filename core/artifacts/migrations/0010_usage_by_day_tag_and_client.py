"""Count pulls by day, tag and family of clients.

Before the code that comes with it; code that does not know the new column may go on writing.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0009_lists_of_artifacts"),
    ]

    operations = [
        migrations.AddField(
            model_name="pullrecord",
            name="user_agent",
            field=models.CharField(blank=True, db_default="", max_length=128),
        ),
        migrations.CreateModel(
            name="PullUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField(db_index=True)),
                ("tag_name", models.CharField(blank=True, db_collation="C", max_length=128)),
                ("client", models.CharField(max_length=16)),
                ("pulls", models.BigIntegerField()),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="artifacts.repository",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="pullusage",
            constraint=models.UniqueConstraint(
                models.F("repository"),
                models.F("day"),
                models.F("tag_name"),
                models.F("client"),
                name="artifacts_pullusage_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="pullusage",
            constraint=models.CheckConstraint(
                condition=models.Q(("pulls__gt", 0)), name="artifacts_pullusage_pulls_positive"
            ),
        ),
    ]
