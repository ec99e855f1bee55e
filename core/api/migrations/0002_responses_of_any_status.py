"""Responses that are kept whatever they say, and those that are kept back.

Before the code that comes with it.
"""

from django.db import migrations, models


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
