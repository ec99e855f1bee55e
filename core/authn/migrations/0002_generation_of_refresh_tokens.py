"""Before deploy. Refresh tokens of subjects whose credentials were ever revoked end, to be safe."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("authn", "0001_credentials"),
        ("users", "0002_generations_of_subjects"),
    ]

    operations = [
        migrations.AddField("RefreshToken", "generation", models.BigIntegerField(default=0)),
    ]
