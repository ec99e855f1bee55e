"""Let a tag end at a time that is known beforehand.

Safe before or after the code that comes with it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("artifacts", "0005_trash")]

    operations = [
        migrations.AddField(
            model_name="tag",
            name="expires_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(
                models.F("expires_at"),
                condition=models.Q(("ended_at", None), ("expires_at__isnull", False)),
                name="artifacts_tag_expiry",
            ),
        ),
    ]
