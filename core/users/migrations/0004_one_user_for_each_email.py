"""Let no two users have the same e-mail address, however it is written.

Before the code that comes with it; code that does not know the rule is refused what breaks it.
Nothing is changed when some share one already: only people know whose it is.
"""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models.functions import Lower

_SHOWN = 10

_SHARED = """
SELECT lower(email), string_agg(username, ', ' ORDER BY id)
  FROM users_user WHERE email <> '' GROUP BY lower(email) HAVING count(*) > 1 ORDER BY 1
"""


def refuse_shared_emails(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Say which users share an address, and what to do. Raises ``RuntimeError``."""
    with schema_editor.connection.cursor() as cursor:
        # Until the commit nobody takes the address of somebody else.
        cursor.execute("LOCK TABLE users_user IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(_SHARED)
        shared = cursor.fetchall()
    if shared:
        shown = "; ".join(f"{email}: {usernames}" for email, usernames in shared[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise RuntimeError(
            f"Users share an email, which this version does not allow ({shown}{more}). Start the "
            "version of before, let all but one of each have another or an empty email "
            "(PUT /api/v2.0/users/{id}), and migrate again."
        )


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0003_registrations_of_visitors"),
    ]

    operations = [
        migrations.RunPython(refuse_shared_emails, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                Lower("email"),
                condition=models.Q(("email", ""), _negated=True),
                name="users_user_email_unique",
            ),
        ),
    ]
