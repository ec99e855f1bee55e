"""When a schedule is due next, and when a run counts as lost."""

from datetime import datetime, timedelta

from cronsim import CronSim

SEND_AGAIN_AFTER = timedelta(seconds=60)
DEAD_AFTER = timedelta(seconds=60)
HEARTBEAT_EVERY = timedelta(seconds=10)


def next_due(now: datetime, *, cron: str, interval_seconds: int | None) -> datetime:
    """Return the first time after ``now``; times missed while nobody ran are not made up.

    ``cron`` is a five-field expression in UTC, used when ``interval_seconds`` is None.
    Raises ``cronsim.CronSimError`` for an expression that cannot be read.
    """
    if interval_seconds is not None:
        return now + timedelta(seconds=interval_seconds)
    return next(CronSim(cron, now))
