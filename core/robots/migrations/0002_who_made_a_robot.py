"""Keep with a robot who made it.

Before the code that comes with it; code that does not know the column leaves it empty.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("robots", "0001_robots"),
    ]

    operations = [
        migrations.AddField(
            model_name="robot",
            name="creator",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
