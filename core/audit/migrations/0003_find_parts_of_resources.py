"""Keep what audit entries are about once more, packed, so that a part of it is found quickly.

Before the code that comes with it. Writes wait while what is there is packed: some two seconds for
each million entries. Those that wait for longer than ten seconds are answered 503.
"""

from django.db import migrations, models

# Rows are kept whole and as they are: to unpack them would take longer than to look through them.
_STORE = """
ALTER TABLE audit_auditstretch ALTER resources SET STORAGE EXTERNAL;
ALTER TABLE audit_auditstretch SET (toast_tuple_target = 8160);
"""

# Each statement that writes entries adds rows, and so waits for nobody. To a stretch of which all
# entries are written at once nothing can come later: it is settled.
_PACK = """
CREATE FUNCTION audit_pack() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit_auditstretch AS stretch (number, resources, is_settled)
  SELECT id / 32, string_agg(upper(target_label), E'\\n'), count(*) = 32 FROM changed GROUP BY 1
  ON CONFLICT (number) WHERE is_settled
  DO UPDATE SET resources = stretch.resources || E'\\n' || excluded.resources;
  RETURN NULL;
END $$;

CREATE TRIGGER audit_resources_written AFTER INSERT ON audit_auditentry
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION audit_pack();
"""

_PACK_WHAT_IS_THERE = """
LOCK TABLE audit_auditentry IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO audit_auditstretch (number, resources, is_settled)
SELECT id / 32, string_agg(upper(target_label), E'\\n'), true
  FROM audit_auditentry GROUP BY 1 ORDER BY 1;
"""

_FORGET = """
DROP TRIGGER audit_resources_written ON audit_auditentry;
DROP FUNCTION audit_pack();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_count_entries"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditStretch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.BigIntegerField()),
                ("resources", models.TextField()),
                ("is_settled", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("number"),
                        condition=models.Q(("is_settled", False)),
                        name="audit_auditstretch_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("number",),
                        condition=models.Q(("is_settled", True)),
                        name="audit_auditstretch_settled_unique",
                    )
                ],
            },
        ),
        migrations.RunSQL(_STORE + _PACK_WHAT_IS_THERE + _PACK, _FORGET),
    ]
