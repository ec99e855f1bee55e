"""Tags that end when a label in the configuration of their image says so.

Before the code that comes with it. Configurations that code without it reads do not count: labels
of those images say nothing until they are pushed as other images.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0012_labels_in_the_trash"),
    ]

    operations = [
        migrations.AddField(
            model_name="manifest",
            name="tag_life",
            field=models.DurationField(null=True),
        ),
        migrations.AddField(
            model_name="tag",
            name="awaits_life",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
