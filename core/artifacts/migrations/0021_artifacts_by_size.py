"""Let lists of artifacts by size be read in the order of an index.

Before or after the code that comes with it. Writes wait while the index is built, a second or so
for each million manifests; what waits for more than ten seconds fails, and may be repeated.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0020_usage_outlives_repositories"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.OrderBy(models.F("total_bytes"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(
                    models.Q(("is_child", False), ("may_be_tagged", True), _connector="OR"),
                    ("subject", None),
                ),
                include=("is_child",),
                name="artifacts_manifest_by_size",
            ),
        ),
    ]
