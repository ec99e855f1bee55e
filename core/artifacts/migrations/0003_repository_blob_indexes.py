"""Find a link by both keys, however many repositories share its blob.

Safe before or after the code that comes with it.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0002_payload_storage"),
        ("blobs", "0001_blobs_and_uploads"),
    ]

    operations = [
        migrations.AlterField(
            model_name="repositoryblob",
            name="blob",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="blobs.blob",
            ),
        ),
        migrations.AlterField(
            model_name="repositoryblob",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="artifacts.repository",
            ),
        ),
        migrations.AddIndex(
            model_name="repositoryblob",
            index=models.Index(
                models.F("blob"), models.F("repository"), name="artifacts_repositoryblob_blob"
            ),
        ),
    ]
