"""Take from the audit log who made the robots that are there.

Before the code that comes with it, or after it: it fills in only what is empty, and may be run
again. Where the log no longer has the entry, nobody knows.
"""

from django.db import migrations

_FILL = """
UPDATE robots_robot AS robot
   SET creator = entry.actor_kind || coalesce(':' || entry.actor_id, '')
  FROM audit_auditentry entry
 WHERE robot.creator = '' AND entry.action = 'robots.robot.created'
   AND entry.target_kind = 'robot' AND entry.target_id = robot.id::text
"""


class Migration(migrations.Migration):
    dependencies = [
        ("robots", "0002_who_made_a_robot"),
        ("audit", "0001_audit_entries"),
    ]

    operations = [
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
