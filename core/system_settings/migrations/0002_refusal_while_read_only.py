"""Let a statement refuse its transaction in read-only mode, so that nobody waits for its answer.

Before the code that comes with it.
"""

from django.db import migrations

# Two statements, so that the second sees what was committed while the first waited.
_REFUSE = """
CREATE FUNCTION system_settings_refuse_while_read_only(lock bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(lock);
  IF EXISTS (SELECT FROM system_settings_storedsettings
              WHERE changed @> '{"read_only": true}') THEN
    RAISE EXCEPTION 'The registry is in read-only mode.'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'system_settings_writable';
  END IF;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("system_settings", "0001_settings_in_one_row")]

    operations = [
        migrations.RunSQL(_REFUSE, "DROP FUNCTION system_settings_refuse_while_read_only(bigint)"),
    ]
