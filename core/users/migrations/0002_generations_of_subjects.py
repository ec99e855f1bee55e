"""Before deploy. Whoever has a revocation begins in the generation that it made."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0001_users_and_groups")]

    operations = [
        migrations.AddField(
            "Revocation", "generation", models.BigIntegerField(default=1), preserve_default=False
        ),
        migrations.AddField(
            "Revocation", "credentials_generation", models.BigIntegerField(default=0)
        ),
        migrations.RunSQL(
            "UPDATE users_revocation SET credentials_generation = 1"
            " WHERE credentials_revoked_at IS NOT NULL",
            migrations.RunSQL.noop,
        ),
        migrations.RemoveField("Revocation", "revoked_at"),
        migrations.RemoveField("Revocation", "credentials_revoked_at"),
    ]
