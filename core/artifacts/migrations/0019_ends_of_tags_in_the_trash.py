"""Keep the ends of tags that are in the trash.

Before the code that comes with it; code that does not know the new columns may go on writing. What
is in the trash already comes back without ends.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0018_redirects_to_the_trash"),
    ]

    operations = [
        migrations.AddField(
            model_name="trashedtag",
            name="expires_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="trashedtag",
            name="awaits_life",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
