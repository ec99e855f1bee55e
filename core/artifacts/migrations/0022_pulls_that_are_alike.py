"""Let one record stand for pulls that are alike.

Before the code that comes with it, which writes the column. Workers that do not know it count such
a record as one pull: they are to be restarted before web processes.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0021_artifacts_by_size"),
    ]

    operations = [
        migrations.AddField(
            model_name="pullrecord",
            name="pulls",
            field=models.IntegerField(db_default=1),
        ),
    ]
