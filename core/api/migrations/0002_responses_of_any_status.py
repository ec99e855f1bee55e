"""Responses that are kept whatever they say, and those that are kept back.

Before the code that comes with it. A record without a response was 409 for its day, and stays
so in both directions: what was kept back is not carried out again.
"""

from django.db import migrations, models

# What such a request was answered nobody knows; those that show a secret are answered 201.
_KEEP_BACK = """
UPDATE api_idempotentrequest SET status = 201, is_withheld = true WHERE status IS NULL
"""

_FORGET_RESPONSES = """
UPDATE api_idempotentrequest SET status = NULL, location = '', body = '', is_withheld = false
 WHERE is_withheld OR status >= 300
"""


class Migration(migrations.Migration):
    dependencies = [
        ("api", "0001_idempotent_requests"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="idempotentrequest",
            name="api_idempotentrequest_only_successes",
        ),
        migrations.AddField(
            model_name="idempotentrequest",
            name="is_withheld",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(_KEEP_BACK, _FORGET_RESPONSES),
        migrations.AddConstraint(
            model_name="idempotentrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("body", ""), ("is_withheld", False), ("location", ""), ("status", None)
                    ),
                    ("status__range", (200, 599)),
                    _connector="OR",
                ),
                name="api_idempotentrequest_response",
            ),
        ),
        migrations.AddConstraint(
            model_name="idempotentrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_withheld", False), ("body", ""), _connector="OR"),
                name="api_idempotentrequest_withheld",
            ),
        ),
    ]
