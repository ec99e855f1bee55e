"""Find the references that wait for content which arrives.

Safe before or after the code that comes with it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0003_repository_blob_indexes"),
        ("blobs", "0001_blobs_and_uploads"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="manifestreference",
            index=models.Index(
                models.F("digest"),
                condition=models.Q(("blob", None), ("child", None)),
                name="artifacts_manifestref_waiting",
            ),
        ),
    ]
