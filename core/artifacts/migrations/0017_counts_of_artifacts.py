"""Let artifacts be counted by an index of nothing else.

Before or after the code that comes with it. Writes wait while the index is built, a second or so
for each million manifests.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0016_repositories_by_one_index"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.F("is_child"),
                models.F("id"),
                condition=models.Q(
                    models.Q(("is_child", False), ("may_be_tagged", True), _connector="OR"),
                    ("subject", None),
                ),
                name="artifacts_manifest_counted",
            ),
        ),
    ]
