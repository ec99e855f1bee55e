"""Let lists of artifacts be counted, filtered and ordered without reading rows of manifests or tags.

Before or after the code that comes with it. Writes wait while the indexes are built, two seconds or
so for each million manifests. Pulls wait for the moment in which indexes that have become needless
go; a dump of the database that is under way delays the migration and not the pulls.
"""

import django.db.models.deletion
from django.db import migrations, models

_PERHAPS_LISTED = models.Q(
    models.Q(("is_child", False), ("may_be_tagged", True), _connector="OR"), ("subject", None)
)


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0014_labels_go_with_their_entry"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.OrderBy(models.F("pushed_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=_PERHAPS_LISTED,
                include=("is_child", "total_bytes", "artifact_type", "config_media_type"),
                name="artifacts_manifest_in_lists",
            ),
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.OrderBy(models.F("pushed_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=_PERHAPS_LISTED,
                include=("repository", "is_child"),
                name="artifacts_manifest_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                models.F("repository"),
                models.F("manifest"),
                condition=models.Q(("ended_at", None)),
                include=("name",),
                name="artifacts_tag_live_named",
            ),
        ),
        # Those that are replaced have less, and nothing else.
        migrations.RemoveIndex(model_name="manifest", name="artifacts_manifest_listed"),
        migrations.RemoveIndex(model_name="tag", name="artifacts_tag_live_manifest"),
        # As indexes of more columns begin with it.
        migrations.AlterField(
            model_name="tag",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="tags",
                to="artifacts.repository",
            ),
        ),
    ]
