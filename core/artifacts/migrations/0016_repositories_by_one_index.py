"""Let pages of repositories be read in the order of their names.

Before or after the code that comes with it. Pulls wait for the moment in which the needless index
goes; a dump of the database that is under way delays the migration and not the pulls.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0015_lists_without_rows"),
    ]

    operations = [
        # The index of project and name begins with it.
        migrations.AlterField(
            model_name="repository",
            name="project",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="repositories",
                to="projects.project",
            ),
        ),
    ]
