"""Tables of audit entries, of how many there are and of what they are about."""

from django.db import models


class AuditEntry(models.Model):
    """One recorded action, as plain values without foreign keys."""

    recorded_at = models.DateTimeField()
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
        # Lists walk over these alone: what they are filtered by most often comes along.
        indexes = (
            models.Index(
                models.F("recorded_at").desc(),
                models.F("id").desc(),
                include=("action", "outcome", "target_kind", "project_id"),
                name="audit_auditentry_newest",
            ),
            models.Index(
                "project_id",
                models.F("recorded_at").desc(),
                models.F("id").desc(),
                include=("action", "outcome", "target_kind"),
                name="audit_auditentry_of_project",
            ),
            models.Index(
                "actor_label",
                models.F("recorded_at").desc(),
                models.F("id").desc(),
                name="audit_auditentry_of_actor",
            ),
            models.Index(
                "target_label",
                condition=models.Q(action="user.login", actor_kind="anonymous"),
                name="audit_auditentry_failed_login",
            ),
        )


class AuditCount(models.Model):
    """So many entries that agree in these columns.

    Rows without a ``day`` count the entries of a project, or of none; those with a day (in UTC)
    count the same entries once more, whatever their project. The rows of a kind are added up: a
    trigger writes one with each statement that writes or removes entries, and a run makes the
    settled one of many.
    """

    project_id = models.BigIntegerField(null=True)
    day = models.DateField(null=True)
    target_kind = models.CharField(max_length=32)
    action = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16)
    entries = models.BigIntegerField()
    is_settled = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("project_id", "day", "target_kind", "action", "outcome"),
                condition=models.Q(is_settled=True),
                nulls_distinct=False,
                name="audit_auditcount_settled_unique",
            ),
        )
        indexes = (
            models.Index(
                "project_id", condition=models.Q(day=None), name="audit_auditcount_project"
            ),
            models.Index("day", condition=models.Q(day__isnull=False), name="audit_auditcount_day"),
            models.Index("id", condition=models.Q(is_settled=False), name="audit_auditcount_open"),
        )


class AuditStretch(models.Model):
    """What entries with neighbouring ids are about, in capital letters, one after the other.

    So a part of a resource is looked for in few rows. Entry ``id`` belongs to the stretch with the
    ``number`` id / 32. Of each stretch there is the settled row, and those that a trigger has
    written since, one with each statement; if one brings all 32 entries, it is settled. Together
    they have the resource of every entry there is. What else they have finds nothing; who deletes
    entries for good has to write their stretches again.
    """

    number = models.BigIntegerField()
    resources = models.TextField()
    is_settled = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("number",),
                condition=models.Q(is_settled=True),
                name="audit_auditstretch_settled_unique",
            ),
        )
        indexes = (
            models.Index(
                "number", condition=models.Q(is_settled=False), name="audit_auditstretch_open"
            ),
        )
