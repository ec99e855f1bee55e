"""Labels in the trash go with their entry, whoever deletes that.

Before the code that comes with it. Code that does not know the table deletes entries by plain
statements, and could not delete one with labels.
"""

import django.db.models.deletion
from django.db import migrations, models

_FOREIGN_KEY = """
ALTER TABLE artifacts_trashedlabel
  ADD CONSTRAINT artifacts_trashedlabel_of_entry FOREIGN KEY (entry_id)
      REFERENCES artifacts_trashentry (id) ON DELETE CASCADE
"""

_NO_FOREIGN_KEY = """
ALTER TABLE artifacts_trashedlabel DROP CONSTRAINT artifacts_trashedlabel_of_entry
"""


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0013_tags_that_end_by_labels"),
    ]

    operations = [
        migrations.AlterField(
            model_name="trashedlabel",
            name="entry",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="labels",
                to="artifacts.trashentry",
            ),
        ),
        migrations.RunSQL(_FOREIGN_KEY, _NO_FOREIGN_KEY),
    ]
