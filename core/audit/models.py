"""Table of audit entries."""

from django.db import models


class AuditEntry(models.Model):
    """One recorded action, as plain values without foreign keys."""

    recorded_at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=512)
    token_id = models.BigIntegerField(null=True)
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=512, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    project_id = models.BigIntegerField(null=True)
    project_name = models.CharField(max_length=255, blank=True)
    target_kind = models.CharField(max_length=32)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=1024)
    detail = models.JSONField(null=True)

    class Meta:
        indexes = (models.Index("project_id", "id", name="audit_auditentry_project"),)
