"""Counting the accounts that visitors ask for, in PostgreSQL, for all processes together.

Limits within an hour: 5 from one address, 100 from all. Attempts count whether or not they
succeed, because a refusal tells that a name is taken.
"""

from datetime import timedelta
from typing import Final

from core.common.clock import now as current_time
from core.common.origin import throttle_address
from core.database import raw
from core.database.transactions import durable_write
from core.rbac.types import Actor
from core.users.errors import RegistrationsThrottled
from core.users.models import Registration

WINDOW: Final = timedelta(hours=1)
ATTEMPTS_PER_ADDRESS: Final = 5
ATTEMPTS: Final = 100
_LOCK: Final = 0x72737265


@durable_write
def count_attempt(address: str | None, *, actor: Actor) -> None:
    """Count one attempt from the address of the actor. Raises ``RegistrationsThrottled``."""
    at, group = current_time(), throttle_address(address)
    # One after the other, so that a burst cannot pass a limit together.
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    Registration.objects.filter(attempted_at__lte=at - WINDOW).delete()
    times = list(
        Registration.objects.order_by("attempted_at").values_list("address", "attempted_at")
    )
    own = [attempted_at for known, attempted_at in times if known == group]
    for counted, limit in ((own, ATTEMPTS_PER_ADDRESS), ([t for _, t in times], ATTEMPTS)):
        if len(counted) >= limit:
            wait = counted[-limit] + WINDOW - at
            raise RegistrationsThrottled(retry_after_seconds=max(1, int(wait.total_seconds())))
    Registration.objects.create(address=group, attempted_at=at)
