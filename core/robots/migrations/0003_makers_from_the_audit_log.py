"""Take from the audit log who made the robots that are there.

Before the code that comes with it, or after it: it fills in only what is empty, and may be run
again. Where the log no longer has the entry, nobody knows. The log is read to its end before the
first robot is changed, so that none of them waits for the log with its login.
"""

from django.db import migrations

_FILL = """
WITH found AS MATERIALIZED (
     SELECT target_id, min(actor_kind || coalesce(':' || actor_id, '')) AS creator
       FROM audit_auditentry
      WHERE action = 'robots.robot.created' AND target_kind = 'robot'
      GROUP BY target_id)
UPDATE robots_robot AS robot SET creator = found.creator
  FROM found WHERE robot.creator = '' AND found.target_id = robot.id::text
"""


class Migration(migrations.Migration):
    dependencies = [
        ("robots", "0002_who_made_a_robot"),
        ("audit", "0001_audit_entries"),
    ]

    operations = [
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
