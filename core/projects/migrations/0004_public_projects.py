"""Let the projects that everybody sees be found among many that are private.

Before or after the code that comes with it. Changes of projects wait while the index is built, which
takes milliseconds.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0003_metadata_of_projects"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="project",
            index=models.Index(
                models.F("name"),
                condition=models.Q(("is_public", True)),
                name="projects_project_public",
            ),
        ),
    ]
