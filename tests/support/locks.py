"""Seeing from one connection that another one waits."""

import time

from core.database.raw import fetch_one

_WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def wait_for_lock(*, count: int = 1, seconds: float = 10) -> None:
    """Return as soon as so many connections wait for a lock. Raises ``TimeoutError``."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        # Inside a transaction PostgreSQL would show for ever what it showed first.
        fetch_one("SELECT pg_stat_clear_snapshot()")
        row = fetch_one(_WAITING)
        if row is not None and row[0] >= count:
            return
        time.sleep(0.02)
    raise TimeoutError("too few connections wait for a lock")
