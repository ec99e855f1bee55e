"""Writing allowlists, each as a whole."""

from collections.abc import Sequence
from typing import Any, Final

from core.allowlists import rules
from core.allowlists.models import CVEAllowlist
from core.allowlists.types import WantedAllowlist
from core.audit import services as audit
from core.common.clock import now as current_time
from core.database.transactions import durable_write
from core.projects.models import Project
from core.rbac.types import Actor

_SHOWN: Final = 100
"""How many ids an audit entry names; lists show their details."""


@durable_write
def replace_system_allowlist(wanted: WantedAllowlist, *, actor: Actor) -> CVEAllowlist:
    """Let the list of the system say that. Raises ``AllowlistInvalid``."""
    return replace_allowlist_locked(None, wanted, actor=actor)


def replace_allowlist_locked(
    project: Project | None, wanted: WantedAllowlist, *, actor: Actor
) -> CVEAllowlist:
    """Let a list say that, in the transaction of a caller who has locked the project.

    Raises ``AllowlistInvalid``.
    """
    cve_ids = list(rules.checked_cve_ids(wanted.cve_ids))
    at = current_time()
    # The unique constraint lets one of two first writers wait for the other.
    row, is_new = CVEAllowlist.objects.select_for_update().get_or_create(
        project=project,
        defaults={
            "cve_ids": cve_ids,
            "expires_at": wanted.expires_at,
            "created_at": at,
            "updated_at": at,
        },
    )
    if not is_new and (row.cve_ids, row.expires_at) == (cve_ids, wanted.expires_at):
        return row
    added, removed = sorted({*cve_ids} - {*row.cve_ids}), sorted({*row.cve_ids} - {*cve_ids})
    row.cve_ids, row.expires_at, row.updated_at = cve_ids, wanted.expires_at, at
    row.save(update_fields=["cve_ids", "expires_at", "updated_at"])
    audit.record(
        "allowlists.allowlist.replaced",
        actor,
        target_kind="allowlist",
        target_id=row.pk,
        target_label="system" if project is None else project.name,
        project_id=None if project is None else project.pk,
        project_name="" if project is None else project.name,
        detail={
            **_some("added", cve_ids if is_new else added),
            **_some("removed", removed),
            "expires_at": None if wanted.expires_at is None else wanted.expires_at.isoformat(),
        },
    )
    return row


def _some(name: str, cve_ids: Sequence[str]) -> dict[str, Any]:
    """Return the first of many ids, and how many there are: entries are shown in lists."""
    number = {f"number_{name}": len(cve_ids)} if len(cve_ids) > _SHOWN else {}
    return {name: list(cve_ids[:_SHOWN]), **number}
