"""Labels of what is deleted, kept in the trash.

Before the code that comes with it.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0011_what_lists_of_artifacts_show"),
    ]

    operations = [
        migrations.CreateModel(
            name="TrashedLabel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.BinaryField(max_length=65)),
                ("label_id", models.BigIntegerField()),
                ("name", models.CharField(max_length=128)),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="labels",
                        to="artifacts.trashentry",
                    ),
                ),
            ],
        ),
    ]
