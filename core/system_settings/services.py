"""Changing run-time settings inside the caller's transaction."""

from collections.abc import Mapping

from django.db import transaction

from core.common.clock import now as current_time
from core.database import raw
from core.system_settings import queries
from core.system_settings.models import StoredSettings
from core.system_settings.types import Settings, Value

_LOCK_ALONE = "SELECT pg_advisory_xact_lock(%s)"


def lock_settings() -> Settings:
    """Return the settings, which nobody else changes or relies on until the caller commits.

    Waits for transactions that rely on them (``queries.share_locked``).
    """
    raw.fetch_one(_LOCK_ALONE, (queries.LOCK,))
    return queries.share_locked()


def store_locked(changes: Mapping[str, Value]) -> Settings:
    """Store values that were checked (``rules.checked_changes``) and return all settings.

    Needs the lock of ``lock_settings``. This process forgets what it had read, others follow
    within ``queries.FRESH_SECONDS``.
    """
    row = StoredSettings.objects.filter(pk=1).first() or StoredSettings(pk=1)
    row.changed = {**row.changed, **changes}
    row.updated_at = current_time()
    row.save()
    # At once, for what follows in this transaction, and after it, in case it was read meanwhile.
    queries.forget()
    transaction.on_commit(queries.forget)
    return queries.share_locked()
