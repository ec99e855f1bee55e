"""Changing run-time settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.audit import services as audit
from core.configurations.errors import RobotNamePrefixTaken
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.system_settings import rules, services
from core.system_settings.types import Settings
from core.users.queries import find_user_whose_name_begins


@durable_write
def update_settings(wanted: Mapping[str, Any], *, actor: Actor) -> Settings:
    """Change what a flat map names, all of it or nothing, and return all settings.

    None leaves a setting as it is. Writes that rely on the old settings end first, and later ones
    see the new. Raises ``SettingUnknown``, ``SettingInvalid`` and ``RobotNamePrefixTaken``.
    """
    asked = rules.checked_changes(wanted)
    before = services.lock_settings()
    changes: dict[str, Any] = {
        key: value for key, value in asked.items() if getattr(before, key) != value
    }
    if not changes:
        return before
    rules.ensure_consistent(replace(before, **changes))
    prefix = changes.get("robot_name_prefix")
    if prefix is not None and find_user_whose_name_begins(str(prefix)) is not None:
        raise RobotNamePrefixTaken
    # Recorded first: if it says that nothing is to be kept any more, that is still kept.
    audit.record(
        "system_settings.settings.updated",
        actor,
        target_kind="configuration",
        target_label=", ".join(sorted(changes)),
        detail={
            key: {"before": getattr(before, key), "after": value}
            for key, value in sorted(changes.items())
        },
    )
    return services.store_locked(changes)
