"""The one row of run-time settings."""

from django.db import models
from django.db.models import Q


class StoredSettings(models.Model):
    """What was changed, by key; a key that is missing has its default.

    The database itself holds that there is one row, and that the audit log goes somewhere: it is
    not kept out of the database without an address that it is sent to.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    changed = models.JSONField(default=dict)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="system_settings_is_one_row"),
            models.CheckConstraint(
                condition=~Q(changed__contains={"skip_audit_log_database": True})
                | (
                    Q(changed__has_key="audit_log_forward_endpoint")
                    & ~Q(changed__contains={"audit_log_forward_endpoint": ""})
                ),
                name="system_settings_audit_log_goes_somewhere",
            ),
        )
