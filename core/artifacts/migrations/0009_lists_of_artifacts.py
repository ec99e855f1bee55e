"""Find the newest artifacts of a repository and its tagged ones, and keep what configurations say.

Safe before the code that comes with it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0008_labels_of_manifests"),
    ]

    operations = [
        migrations.AddField(
            model_name="manifest",
            name="extra_attrs",
            field=models.JSONField(null=True),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.OrderBy(models.F("pushed_at"), descending=True),
                models.F("id"),
                condition=models.Q(("subject", None)),
                name="artifacts_manifest_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("id"),
                condition=models.Q(
                    ("config_media_type__isnull", False), ("extra_attrs__isnull", True)
                ),
                name="artifacts_manifest_unread",
            ),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                models.F("repository"),
                models.F("manifest"),
                condition=models.Q(("ended_at", None)),
                name="artifacts_tag_live_manifest",
            ),
        ),
    ]
