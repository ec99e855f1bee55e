"""Grants of deleted repositories, kept with their entries of the trash.

Before the code that comes with it; what is deleted by code that does not know the table is kept
as well.
"""

import django.db.models.deletion
from django.db import migrations, models

# Entries are deleted by plain statements, which know no table of grants.
_FOREIGN_KEY = """
ALTER TABLE grants_trashedgrant
  ADD CONSTRAINT grants_trashedgrant_of_entry FOREIGN KEY (entry_id)
      REFERENCES artifacts_trashentry (id) ON DELETE CASCADE
"""

# The entry is written before the repository goes.
_KEEP_GRANTS = """
CREATE FUNCTION grants_keep_in_trash() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  repository bigint;
BEGIN
  SELECT r.id INTO repository
    FROM projects_project p JOIN artifacts_repository r ON r.name = p.name || '/' || NEW.path
   WHERE p.id = NEW.project_id AND r.project_id = p.id;
  INSERT INTO grants_trashedgrant (entry_id, subject_kind, subject_id, subject_name, "right")
  SELECT NEW.id, held.kind, held.id, held.name, held.codename
    FROM (SELECT 'user' AS kind, u.id, u.username AS name, p.codename
            FROM grants_repositoryusergrant g
            JOIN users_user u ON u.id = g.user_id JOIN auth_permission p ON p.id = g.permission_id
           WHERE g.content_object_id = repository
           UNION ALL
          SELECT 'group', t.id, t.name, p.codename
            FROM grants_repositorygroupgrant g
            JOIN auth_group t ON t.id = g.group_id JOIN auth_permission p ON p.id = g.permission_id
           WHERE g.content_object_id = repository) AS held;
  RETURN NULL;
END $$;
CREATE TRIGGER grants_trashentry_keeps_grants
  AFTER INSERT ON artifacts_trashentry
  FOR EACH ROW WHEN (NEW.kind = 'repository') EXECUTE FUNCTION grants_keep_in_trash()
"""

_FORGET = """
DROP TRIGGER grants_trashentry_keeps_grants ON artifacts_trashentry;
DROP FUNCTION grants_keep_in_trash()
"""


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0012_labels_in_the_trash"),
        ("grants", "0001_repository_grants"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("projects", "0001_projects"),
        ("users", "0001_users_and_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="TrashedGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject_kind", models.CharField(max_length=5)),
                ("subject_id", models.BigIntegerField()),
                ("subject_name", models.CharField(max_length=255)),
                ("right", models.CharField(max_length=100)),
                (
                    "entry",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="artifacts.trashentry",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(_FOREIGN_KEY, migrations.RunSQL.noop),
        migrations.RunSQL(_KEEP_GRANTS, _FORGET),
    ]
