"""Let the secrets of robots be chosen: their hashes are longer.

Before the code that comes with it. The columns stay as they are, and code that does not know such
hashes refuses the secrets.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("robots", "0003_makers_from_the_audit_log"),
    ]

    operations = [
        migrations.AlterField(
            model_name="robot",
            name="secret_hash",
            field=models.BinaryField(max_length=128, unique=True),
        ),
        migrations.AlterField(
            model_name="robot",
            name="previous_secret_hash",
            field=models.BinaryField(max_length=128, null=True),
        ),
    ]
