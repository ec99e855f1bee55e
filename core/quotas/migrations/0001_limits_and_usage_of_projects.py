"""Make limits and usage of projects, and judge changes of the usage when they are committed.

Before the code that comes with it: projects that are made without it get a row all the same.
"""

import django.db.models.deletion
from django.db import migrations, models

# Two projects may share a lock; they would only wait for each other.
_LOCK = """
CREATE FUNCTION quotas_lock(project_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT hashint8extended(project_id, 5170) $$
"""

_OPEN = """
CREATE FUNCTION quotas_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO quotas_quota (project_id, hard_bytes, used_bytes, created_at, updated_at)
  VALUES (NEW.id, -1, 0, NEW.created_at, NEW.created_at);
  RETURN NULL;
END $$;

LOCK TABLE projects_project IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO quotas_quota (project_id, hard_bytes, used_bytes, created_at, updated_at)
SELECT id, -1, 0, created_at, created_at FROM projects_project;

CREATE TRIGGER quotas_open AFTER INSERT ON projects_project
   FOR EACH ROW EXECUTE FUNCTION quotas_open();
"""

_CLOSE = """
DROP TRIGGER quotas_open ON projects_project;
DROP FUNCTION quotas_open();
"""

# Deferred: the project's row is locked by the last step of the transaction. The first change of a
# transaction settles all of them, projects in the order of their ids, so that commits that touch
# several do not wait for each other in a ring, and notes up to which change it came: the triggers
# of those have nothing left to do. Ids of one transaction only grow, and a savepoint that is rolled
# back takes the note with it.
#
# The shared lock is what a change of the limit waits for. It costs no write, and the statement
# behind it sees the limit that holds until the commit.
_SETTLE = """
CREATE FUNCTION quotas_settle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change record;
  quota quotas_quota;
  settled bigint := coalesce(nullif(current_setting('roadstead.settled_usage', true), ''), '0');
BEGIN
  IF NEW.id <= settled THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('roadstead.settled_usage', max(id)::text, true) FROM quotas_usagechange
    WHERE transaction_id = NEW.transaction_id;
  FOR change IN
    SELECT project_id, sum(bytes)::bigint AS bytes FROM quotas_usagechange
     WHERE transaction_id = NEW.transaction_id AND id > settled
     GROUP BY project_id ORDER BY project_id
  LOOP
    PERFORM pg_advisory_xact_lock_shared(quotas_lock(change.project_id));
    SELECT * INTO quota FROM quotas_quota WHERE project_id = change.project_id;
    CONTINUE WHEN NOT FOUND OR quota.hard_bytes = -1;
    UPDATE quotas_quota SET used_bytes = greatest(used_bytes + change.bytes, 0)
     WHERE project_id = change.project_id
       AND (change.bytes <= 0 OR used_bytes + change.bytes <= hard_bytes
            OR current_setting('roadstead.corrects_usage', true) = 'on');
    IF NOT FOUND THEN
      SELECT * INTO quota FROM quotas_quota WHERE project_id = change.project_id;
      RAISE EXCEPTION 'Project % would hold more than its limit allows.', change.project_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'quotas_quota_not_exceeded',
            DETAIL = json_build_object('adding', change.bytes, 'used', quota.used_bytes,
                                       'hard', quota.hard_bytes)::text;
    END IF;
    DELETE FROM quotas_usagechange
     WHERE transaction_id = NEW.transaction_id AND project_id = change.project_id
       AND id > settled;
  END LOOP;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER quotas_settle AFTER INSERT ON quotas_usagechange
DEFERRABLE INITIALLY DEFERRED
   FOR EACH ROW EXECUTE FUNCTION quotas_settle();
"""

_UNSETTLE = """
DROP TRIGGER quotas_settle ON quotas_usagechange;
DROP FUNCTION quotas_settle();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("projects", "0002_generation_of_projects"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("project_id", models.BigIntegerField(db_index=True)),
                ("transaction_id", models.BigIntegerField(db_index=True)),
                ("bytes", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Quota",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hard_bytes", models.BigIntegerField(default=-1)),
                ("used_bytes", models.BigIntegerField(default=0)),
                ("warned_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quota",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("hard_bytes", -1), ("hard_bytes__gt", 0), _connector="OR"
                        ),
                        name="quotas_quota_limit_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("used_bytes__gte", 0)),
                        name="quotas_quota_usage_not_negative",
                    ),
                ],
            },
        ),
        migrations.RunSQL(_LOCK, "DROP FUNCTION quotas_lock(bigint)"),
        migrations.RunSQL(_OPEN, _CLOSE),
        migrations.RunSQL(_SETTLE, _UNSETTLE),
    ]
