"""Labels on manifests, and what keeps them where they belong.

Before the code that comes with it.
"""

import django.db.models.deletion
from django.db import migrations, models

# Manifests are deleted by plain statements, which know no table of labels.
_FOREIGN_KEYS = """
ALTER TABLE artifacts_manifestlabel
  ADD CONSTRAINT artifacts_manifestlabel_of_manifest FOREIGN KEY (manifest_id)
      REFERENCES artifacts_manifest (id) ON DELETE CASCADE,
  ADD CONSTRAINT artifacts_manifestlabel_of_label FOREIGN KEY (label_id)
      REFERENCES labels_label (id) ON DELETE CASCADE
"""

_REFUSE_FOREIGN_LABELS = """
CREATE FUNCTION artifacts_refuse_foreign_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM labels_label l, artifacts_manifest m
               JOIN artifacts_repository r ON r.id = m.repository_id
              WHERE l.id = NEW.label_id AND m.id = NEW.manifest_id
                AND l.project_id <> r.project_id) THEN
    RAISE EXCEPTION 'label % belongs to another project', NEW.label_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'artifacts_manifestlabel_project';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER artifacts_manifestlabel_project
  BEFORE INSERT OR UPDATE ON artifacts_manifestlabel
  FOR EACH ROW EXECUTE FUNCTION artifacts_refuse_foreign_label()
"""

_LEAVE_LABELS_BEHIND = """
CREATE FUNCTION artifacts_leave_labels_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM artifacts_manifestlabel held
   USING labels_label l, artifacts_manifest m
   WHERE held.manifest_id = m.id AND m.repository_id = NEW.id
     AND held.label_id = l.id AND l.project_id <> NEW.project_id;
  RETURN NULL;
END $$;
CREATE TRIGGER artifacts_repository_leaves_labels
  AFTER UPDATE OF project_id ON artifacts_repository
  FOR EACH ROW WHEN (OLD.project_id <> NEW.project_id)
  EXECUTE FUNCTION artifacts_leave_labels_behind()
"""

_FORGET = """
DROP TRIGGER artifacts_repository_leaves_labels ON artifacts_repository;
DROP TRIGGER artifacts_manifestlabel_project ON artifacts_manifestlabel;
DROP FUNCTION artifacts_leave_labels_behind();
DROP FUNCTION artifacts_refuse_foreign_label()
"""


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0007_redirects"),
        ("labels", "0001_labels_of_projects_and_the_system"),
    ]

    operations = [
        migrations.CreateModel(
            name="ManifestLabel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "label",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="labels.label",
                    ),
                ),
                (
                    "manifest",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="artifacts.manifest",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("label"),
                        models.F("manifest"),
                        name="artifacts_manifestlabel_label",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("manifest"),
                        models.F("label"),
                        name="artifacts_manifestlabel_unique",
                    )
                ],
            },
        ),
        migrations.RunSQL(_FOREIGN_KEYS, migrations.RunSQL.noop),
        migrations.RunSQL([_REFUSE_FOREIGN_LABELS, _LEAVE_LABELS_BEHIND], _FORGET),
    ]
