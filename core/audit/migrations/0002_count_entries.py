"""Count audit entries as they are written, and find the pages of long lists by indexes alone.

Before the code that comes with it. Writes wait while what is there is counted and indexed: some
five seconds for each million entries.
"""

from django.db import migrations, models

# Each statement that writes or removes entries adds rows, and so waits for nobody.
_COUNT = """
CREATE FUNCTION audit_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO audit_auditcount (project_id, day, target_kind, action, outcome, entries)
  SELECT project_id, day, target_kind, action, outcome, step * count(*)
    FROM changed, LATERAL (SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day) AS at
   GROUP BY GROUPING SETS ((project_id, target_kind, action, outcome),
                           (day, target_kind, action, outcome));
  RETURN NULL;
END $$;

CREATE TRIGGER audit_entries_written AFTER INSERT ON audit_auditentry
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION audit_count();

CREATE TRIGGER audit_entries_removed AFTER DELETE ON audit_auditentry
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION audit_count();
"""

_COUNT_WHAT_IS_THERE = """
LOCK TABLE audit_auditentry IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO audit_auditcount
       (project_id, day, target_kind, action, outcome, entries, is_settled)
SELECT project_id, day, target_kind, action, outcome, count(*), true
  FROM audit_auditentry,
       LATERAL (SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day) AS at
 GROUP BY GROUPING SETS ((project_id, target_kind, action, outcome),
                         (day, target_kind, action, outcome));
"""

_UNCOUNT = """
DROP TRIGGER audit_entries_removed ON audit_auditentry;
DROP TRIGGER audit_entries_written ON audit_auditentry;
DROP FUNCTION audit_count();
"""

_NEWEST_FIRST = (
    models.F("recorded_at").desc(),
    models.F("id").desc(),
)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_entries"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("project_id", models.BigIntegerField(null=True)),
                ("day", models.DateField(null=True)),
                ("target_kind", models.CharField(max_length=32)),
                ("action", models.CharField(max_length=64)),
                ("outcome", models.CharField(max_length=16)),
                ("entries", models.BigIntegerField()),
                ("is_settled", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("project_id"),
                        condition=models.Q(("day", None)),
                        name="audit_auditcount_project",
                    ),
                    models.Index(
                        models.F("day"),
                        condition=models.Q(("day__isnull", False)),
                        name="audit_auditcount_day",
                    ),
                    models.Index(
                        models.F("id"),
                        condition=models.Q(("is_settled", False)),
                        name="audit_auditcount_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project_id", "day", "target_kind", "action", "outcome"),
                        condition=models.Q(("is_settled", True)),
                        nulls_distinct=False,
                        name="audit_auditcount_settled_unique",
                    )
                ],
            },
        ),
        migrations.RunSQL(_COUNT_WHAT_IS_THERE + _COUNT, _UNCOUNT),
        # The new indexes begin with what the former ones had.
        migrations.RemoveIndex(model_name="auditentry", name="audit_auditentry_project"),
        migrations.AlterField(
            model_name="auditentry",
            name="recorded_at",
            field=models.DateTimeField(),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                *_NEWEST_FIRST,
                include=("action", "outcome", "target_kind", "project_id"),
                name="audit_auditentry_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("project_id"),
                *_NEWEST_FIRST,
                include=("action", "outcome", "target_kind"),
                name="audit_auditentry_of_project",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("actor_label"), *_NEWEST_FIRST, name="audit_auditentry_of_actor"
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("target_label"),
                condition=models.Q(("action", "user.login"), ("actor_kind", "anonymous")),
                name="audit_auditentry_failed_login",
            ),
        ),
    ]
