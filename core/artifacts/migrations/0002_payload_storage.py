"""Keep manifest payloads uncompressed and out of line: reads copy bytes without pglz.

Safe before or after the code that comes with it.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("artifacts", "0001_repositories_manifests_tags")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE artifacts_manifest ALTER COLUMN payload SET STORAGE EXTERNAL",
            "ALTER TABLE artifacts_manifest ALTER COLUMN payload SET STORAGE EXTENDED",
        )
    ]
