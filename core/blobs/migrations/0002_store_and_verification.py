"""Say which storage holds an object, when a blob was verified, and what is to be removed.

Safe before the code that comes with it: columns have defaults that the earlier code fits.
"""

from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [
        ("blobs", "0001_blobs_and_uploads"),
    ]

    operations = [
        migrations.AddField(
            model_name="blob",
            name="store",
            field=models.CharField(db_default="main", max_length=32),
        ),
        migrations.AddField(
            model_name="blob",
            name="verified_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="blob",
            name="damaged_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="upload",
            name="store",
            field=models.CharField(db_default="main", max_length=32),
        ),
        migrations.CreateModel(
            name="CondemnedObject",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("storage_key", models.CharField(db_collation="C", max_length=255, unique=True)),
                ("store", models.CharField(max_length=32)),
                ("condemned_at", models.DateTimeField()),
                ("kept_until", models.DateTimeField(db_index=True)),
                ("removing_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddIndex(
            model_name="blob",
            index=models.Index(
                Coalesce("verified_at", "created_at"), name="blobs_blob_verification"
            ),
        ),
        migrations.AddIndex(
            model_name="blob",
            index=models.Index(
                "id",
                condition=models.Q(("damaged_at__isnull", False)),
                name="blobs_blob_damaged",
            ),
        ),
    ]
